package console_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"riverqueue.com/riverui"

	"millrace/api"
	"millrace/events"
	"millrace/jobs"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/knowledge"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/gate"
	"millrace/jobs/worker/ingestion"
	"millrace/jobs/worker/ingestion/fetch"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/jobs/worker/retention"
	"millrace/jobs/worker/schedule"
	"millrace/jobs/worker/tune"
	"millrace/jobs/worker/wfo"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/pgtest"
	"millrace/store/requests"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/vector"
	"millrace/store/webhooks"
)

const adminToken = "console-test-admin-token-0123456789"

// site is a real server on a real database, and a worker when asked for.
type site struct {
	t        testing.TB
	url      string
	pictures string
	store    *stores.Set
	db       *pgtest.DB
	server   *api.Server
	hub      *events.Hub
	web      *httptest.Server
	line     *line
	alpha    tenants.Workspace
	key      string // of an owner in alpha
	parts    knowledge.Parts
	down     atomic.Bool  // nothing is answered
	lateDown atomic.Bool  // nor are pages that are asked for whole
	streams  sync.RWMutex // while locked, none begins
}

func newSite(t testing.TB) *site {
	t.Helper()
	if parallel, ok := t.(interface{ Parallel() }); ok {
		parallel.Parallel() // much of a test is waiting for what a page does by itself
	}
	s := &site{t: t, db: pgtest.New(t), pictures: t.TempDir()}
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: s.db.URL, MaxConns: 12})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, logger)
	require.NoError(t, err)
	s.store = stores.New(pool, client)
	feed := events.NewFeed(events.Options{Store: s.store, Metrics: metrics, Logger: logger})
	require.NoError(t, feed.Start(t.Context()))
	t.Cleanup(func() { _ = feed.Stop(context.Background()) })
	s.hub = feed.Hub()
	look := health.Options{Store: s.store, Main: s.store, Feed: feed.Status}
	short := provider.GuardOptions{QueryTimeout: time.Second, LLMTimeout: time.Second, RerankTimeout: time.Second}
	s.parts = knowledge.Parts{
		Texts:     s.store.Library,
		Trials:    s.store.Recommend,
		Embedders: knowledge.Embedders{provider.NewEmbedder(knowledge.HashEmbedder{}, &metrics.Knowledge, short)},
		Index:     vector.NewGuarded(vector.NewEmbedded(pool, s.store.Workspaces(), 64<<20), &metrics.Knowledge, vector.GuardOptions{}),
		LLM:       provider.NewLLM(nil, &metrics.Knowledge, short, nil),
	}
	base, err := knowledge.NewBase(s.parts)
	require.NoError(t, err)
	river, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(client.Client, nil), Logger: logger, Prefix: api.RiverPath, JobListHideArgsByDefault: true,
	})
	require.NoError(t, err)
	require.NoError(t, river.Start(t.Context()))
	keys, err := webhooks.NewKeyring("0123456789abcdef")
	require.NoError(t, err)
	s.server, err = api.New(api.Options{
		Webhooks: api.WebhookOptions{Keys: keys},
		Store:    s.store, Hub: feed.Hub(), Health: health.New(look), Ready: health.Ready(look), Knowledge: base,
		Metrics: metrics, Logger: logger, AdminToken: adminToken, Version: "test", Docs: true, River: river,
		Limits: api.Limits{Login: tenants.Rate{Most: 5, Window: time.Hour}},
	})
	require.NoError(t, err)
	handler := s.server.Handler()
	s.web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s.down.Load() || s.lateDown.Load() && req.URL.Query().Has("whole") {
			panic(http.ErrAbortHandler) // cut off, as by a network
		}
		if strings.HasPrefix(req.URL.Path, "/admin/events/") {
			s.streams.RLock()
			s.streams.RUnlock() //nolint:staticcheck // a gate that is passed, not a section
		}
		handler.ServeHTTP(w, req)
	}))
	s.line = &line{Listener: s.web.Listener}
	s.web.Listener = s.line
	s.web.Start()
	t.Cleanup(func() { s.server.EndStreams(); s.line.cut(); s.web.Close() })
	s.url = s.web.URL
	return s
}

// line knows every connection to the site, also those that streams have taken over from the server.
type line struct {
	net.Listener
	mu   sync.Mutex
	open []net.Conn
}

// Accept implements net.Listener.
func (l *line) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.open = append(l.open, conn)
		l.mu.Unlock()
	}
	return conn, err
}

// cut closes every connection, as a network does that fails.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}

// withWorkspace makes alpha and its key.
func (s *site) withWorkspace() *site {
	s.t.Helper()
	var err error
	s.alpha, err = s.store.Tenants.CreateWorkspace(s.t.Context(), "alpha", 2)
	require.NoError(s.t, err)
	s.key, err = s.store.Tenants.CreateKey(s.t.Context(), s.alpha.ID, "test", tenants.RoleOwner)
	require.NoError(s.t, err)
	return s
}

// withSample uploads the bundled sample as sp500.
func (s *site) withSample() *site {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": "sp500", "symbol": "SPX", "timeframe": "1d"} {
		require.NoError(s.t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(s.t, err)
	_, err = part.Write(ohlcv.Sample())
	require.NoError(s.t, err)
	require.NoError(s.t, form.Close())
	status, answer := s.do(http.MethodPost, "/datasets", form.FormDataContentType(), &body)
	require.Equal(s.t, http.StatusCreated, status, answer)
	return s
}

// sampleFile is the bundled sample as a file to upload.
func sampleFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bars.csv")
	require.NoError(t, os.WriteFile(file, ohlcv.Sample(), 0o600))
	return file
}

// do makes a request of the API with alpha's key.
func (s *site) do(method, path, contentType string, body io.Reader, headers ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(answer)
}

func (s *site) submit(path, key, body string) string {
	s.t.Helper()
	status, answer := s.do(http.MethodPost, path, "application/json", strings.NewReader(body), "X-Idempotency-Key", key)
	require.Equal(s.t, http.StatusAccepted, status, answer)
	return answer
}

// published waits until what has happened in alpha has gone out to every listener.
func (s *site) published() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		newest, err := s.store.EventLog.Recent(s.t.Context(), s.alpha.ID, nil, 1)
		require.NoError(s.t, err)
		sub := s.hub.Subscribe(eventlog.Scope{}, nil)
		defer sub.Close()
		return len(newest) > 0 && !sub.Last().Before(newest[0].Cursor)
	}, time.Minute, 5*time.Millisecond)
}

// post asks the API for something that it answers at once.
func (s *site) post(path, body string) {
	s.t.Helper()
	status, answer := s.do(http.MethodPost, path, "application/json", strings.NewReader(body))
	require.Equal(s.t, http.StatusOK, status, answer)
}

// startWorker works the queues until the test ends.
func (s *site) startWorker() {
	s.t.Helper()
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	pool, err := store.OpenPool(s.t.Context(), store.PoolOptions{DatabaseURL: s.db.URL, MaxConns: 10})
	require.NoError(s.t, err)
	s.t.Cleanup(pool.Close)
	cache, err := os.UserCacheDir()
	require.NoError(s.t, err)
	children, err := sandbox.New(sandbox.Options{CacheDir: filepath.Join(cache, "millrace", "wasm")})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = children.Close(context.Background()) })
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueTrials: 2, jobs.QueueTunes: 1, jobs.QueueWFO: 1, jobs.QueueRetention: 1, jobs.QueueIngestion: 1}, Metrics: metrics, Logger: logger,
		Version: "test", Drain: 5 * time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, tune.Options{ShardTime: 200 * time.Millisecond}).Register(workers)
		gate.New(st.DB, st.Strategies, metrics, logger).Register(workers)
		wfo.New(wfo.Stores{DB: st.DB, Market: st.Market, Strategies: st.Strategies, Tuning: st.Tuning, WalkForward: st.WalkForward}, metrics, logger, wfo.Options{}).Register(workers)
		schedule.New(schedule.Stores{
			DB: st.DB, Requests: requests.Checker{Market: st.Market, Strategies: st.Strategies}, Library: st.Library, Schedules: st.Schedules, Tuning: st.Tuning,
			WalkForward: st.WalkForward,
		}, 0, logger).Register(workers)
		retention.New(st.DB, st.Upkeep, logger).Register(workers)
		sources, err := ingestion.New(ingestion.Options{
			DB: st.DB, Library: st.Library, Market: st.Market, Logger: logger, Fetcher: fetch.New(fetch.Options{}), Sandbox: children,
			Embedders: s.parts.Embedders, Index: s.parts.Index,
		})
		require.NoError(s.t, err)
		sources.Register(workers)
	})
	require.NoError(s.t, err)
	require.NoError(s.t, member.Start(s.t.Context()))
	s.t.Cleanup(func() { _ = member.Stop(context.Background()) })
}

// put ingests a document into alpha.
func (s *site) put(d pgtest.Document) {
	s.t.Helper()
	document, chunks := d.Insert(s.t, s.db.OwnerPool(s.t), s.alpha.ID)
	first := s.parts.Embedders[0]
	place, err := s.store.Library.Placement(s.t.Context(), s.alpha.ID, first.Model())
	require.NoError(s.t, err)
	vectors, err := first.Embed(s.t.Context(), knowledge.ForDocument, d.Texts)
	require.NoError(s.t, err)
	points := make([]knowledge.Point, len(chunks))
	for i, id := range chunks {
		points[i] = knowledge.Point{Chunk: id, Document: document, Revision: 1, SourceType: "text", Vector: vectors[i]}
	}
	require.NoError(s.t, s.parts.Index.Ensure(s.t.Context(), place.Collection))
	require.NoError(s.t, s.parts.Index.Upsert(s.t.Context(), knowledge.Scope{Workspace: s.alpha.ID, Collection: place.Collection}, points))
}
