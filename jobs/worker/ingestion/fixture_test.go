package ingestion_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/ingestion"
	"millrace/jobs/worker/ingestion/fetch"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/ops"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/vector"
)

// TestMain lets the test binary be a child of the sandbox.
func TestMain(m *testing.M) {
	if sandbox.IsChild(os.Args) {
		os.Exit(sandbox.Main())
	}
	os.Exit(m.Run())
}

// fixture is a database, a workspace, an index, and a site that sources can be fetched from.
type fixture struct {
	t        testing.TB
	db       *pgtest.DB
	owner    *pgxpool.Pool // sees every row
	store    *stores.Set
	index    knowledge.VectorIndex
	metrics  *ops.Metrics
	space    tenants.Workspace
	site     *httptest.Server
	serve    atomic.Pointer[http.HandlerFunc]
	embedder *flaky
	opts     ingestion.Options
	keys     int
}

// newFixture makes one. Most of a test's time is waiting, so it runs beside others.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		t.Parallel()
	}
	r := &fixture{t: t, db: pgtest.New(t), metrics: ops.NewMetrics(), embedder: &flaky{}}
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: r.db.URL, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	r.store = stores.New(pool, client)
	r.store.SetWorkspaces(r.db.LimitedPool(t))
	r.owner = r.db.OwnerPool(t)
	r.space, err = r.store.Tenants.CreateWorkspace(t.Context(), "alpha", 2)
	require.NoError(t, err)
	r.index = vector.NewEmbedded(pool, r.store.Workspaces(), 64<<20)
	r.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if handler := r.serve.Load(); handler != nil {
			(*handler)(w, req)
			return
		}
		http.NotFound(w, req)
	}))
	t.Cleanup(r.site.Close)
	children, err := sandbox.New(sandbox.Options{CacheDir: cacheDir(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = children.Close(context.Background()) })
	at := netip.MustParseAddrPort(r.site.Listener.Addr().String())
	r.opts = ingestion.Options{
		Logger: slog.New(slog.DiscardHandler), Sandbox: children, Index: r.index,
		Fetcher: fetch.New(fetch.Options{
			AllowNetworks: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}, AllowPorts: []uint16{at.Port()},
		}),
		Embedders:  knowledge.Embedders{r.embedder},
		FirstPause: 50 * time.Millisecond, FaultPause: 50 * time.Millisecond, ReportEvery: time.Millisecond, YouTube: r.site.URL,
	}
	return r
}

func cacheDir(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "millrace", "wasm")
}

// work starts a worker that runs until the test ends or it is stopped.
func (r *fixture) work() (stop func()) {
	r.t.Helper()
	pool, err := store.OpenPool(r.t.Context(), store.PoolOptions{DatabaseURL: r.db.URL, MaxConns: 10})
	require.NoError(r.t, err)
	r.t.Cleanup(pool.Close)
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueIngestion: 2}, Metrics: r.metrics, Logger: slog.New(slog.DiscardHandler),
		Version: "test", Drain: 300 * time.Millisecond,
	}, func(st *stores.Set, workers *river.Workers) {
		opts := r.opts
		opts.DB, opts.Library, opts.Market = st.DB, st.Library, st.Market
		all, err := ingestion.New(opts)
		require.NoError(r.t, err)
		all.Register(workers)
	})
	require.NoError(r.t, err)
	require.NoError(r.t, member.Start(r.t.Context()))
	stop = func() { _ = member.Stop(context.Background()) }
	r.t.Cleanup(stop)
	return stop
}

// submit stores an ingestion of what was sent or is to be fetched.
func (r *fixture) submit(in library.NewIngest, content []byte) *library.Ingest {
	r.t.Helper()
	if content != nil {
		id, err := r.store.Library.PutUpload(r.t.Context(), r.space.ID, bytes.NewReader(content))
		require.NoError(r.t, err)
		in.Upload = id
	}
	if in.CanonicalURL == "" {
		in.CanonicalURL = "upload:" + in.Name
		if in.URL != "" {
			in.CanonicalURL = extract.CanonicalURL(in.URL)
		}
	}
	r.keys++
	var made *library.Ingest
	_, err := r.store.Library.CreateIngest(r.t.Context(),
		store.Submission{Workspace: r.space.ID, Route: "POST /ingest", Key: fmt.Sprint("key-", r.keys)}, in,
		func(in *library.Ingest) (store.Response, error) { made = in; return store.Response{Status: 202}, nil })
	require.NoError(r.t, err)
	return made
}

func (r *fixture) text(name, content string) *library.Ingest {
	r.t.Helper()
	return r.submit(library.NewIngest{SourceType: knowledge.SourceText, Name: name}, []byte(content))
}

// until waits for an ingestion to have a status.
func (r *fixture) until(id uuid.UUID, status library.IngestStatus) *library.Ingest {
	r.t.Helper()
	var got *library.Ingest
	require.Eventually(r.t, func() bool {
		var err error
		got, err = r.store.Library.Ingest(context.Background(), r.space.ID, id)
		return err == nil && (got.Status == status || got.Status.Ended())
	}, 30*time.Second, 5*time.Millisecond, "%v", id)
	require.Equal(r.t, status, got.Status, "%s", reason(got))
	return got
}

func reason(in *library.Ingest) string {
	if in.Reason == nil {
		return ""
	}
	return *in.Reason
}

func (r *fixture) done(in *library.Ingest) *library.Ingest {
	return r.until(in.ID, library.IngestCompleted)
}

func (r *fixture) failed(in *library.Ingest) string {
	return reason(r.until(in.ID, library.IngestFailed))
}

// nearItsEnd leaves an ingestion two attempts, in quick succession, of the workers yet to start.
func (r *fixture) nearItsEnd(in *library.Ingest) {
	r.t.Helper()
	r.opts.FirstPause = 50 * time.Microsecond
	_, err := r.owner.Exec(r.t.Context(), `update river_job set attempt = max_attempts - 2 where id = $1`, in.RiverJobID)
	require.NoError(r.t, err)
}

// awaitVectors waits for the workspace to have so many vectors.
func (r *fixture) awaitVectors(n int, why string) {
	r.t.Helper()
	placement, err := r.store.Library.Placement(r.t.Context(), r.space.ID, r.embedder.Model())
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool {
		info, err := r.index.Info(r.t.Context(), placement.Collection)
		return err == nil && info.Vectors == int64(n)
	}, eventually, tick, why)
}

// document reads a document with all its chunks.
func (r *fixture) document(id uuid.UUID) (knowledge.Document, []knowledge.Chunk) {
	r.t.Helper()
	doc, chunks, err := r.store.Library.DocumentChunks(r.t.Context(), r.space.ID, id, 0, 10_000)
	require.NoError(r.t, err)
	return doc, chunks
}

// find searches the index for the chunk nearest to a question, as a reader would: among what is stored.
func (r *fixture) find(question string, chunks []knowledge.Chunk) *knowledge.Chunk {
	r.t.Helper()
	placement, err := r.store.Library.Placement(r.t.Context(), r.space.ID, r.embedder.Model())
	require.NoError(r.t, err)
	vectors, err := knowledge.HashEmbedder{}.Embed(r.t.Context(), knowledge.ForQuery, []string{question})
	require.NoError(r.t, err)
	hits, err := r.index.Search(r.t.Context(), knowledge.Scope{Workspace: r.space.ID, Collection: placement.Collection}, vectors[0], knowledge.Filter{}, 50)
	require.NoError(r.t, err)
	for _, hit := range hits {
		for i := range chunks {
			if chunks[i].ID == hit.Chunk {
				return &chunks[i]
			}
		}
	}
	return nil
}

func (r *fixture) count(query string, args ...any) int {
	r.t.Helper()
	var n int
	require.NoError(r.t, r.owner.QueryRow(r.t.Context(), query, args...).Scan(&n))
	return n
}

// events are the types of the events about an entity, in order.
func (r *fixture) events(entity uuid.UUID) []string {
	r.t.Helper()
	var types []string
	require.NoError(r.t, r.owner.QueryRow(r.t.Context(), `
		select coalesce(array_agg(type order by xid, id), '{}') from event_log where entity_id = $1`, entity.String()).Scan(&types))
	return types
}

func (r *fixture) handle(handler http.HandlerFunc) { r.serve.Store(&handler) }

// flaky is the hash embedder, which fails and waits on demand.
type flaky struct {
	knowledge.HashEmbedder
	fault atomic.Pointer[knowledge.Fault]
	gate  atomic.Pointer[chan struct{}]
	calls atomic.Int64
}

func (f *flaky) Embed(ctx context.Context, use knowledge.Use, texts []string) ([][]float32, error) {
	f.calls.Add(1)
	if gate := f.gate.Load(); gate != nil {
		select {
		case <-*gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fault := f.fault.Load(); fault != nil {
		return nil, fault
	}
	return f.HashEmbedder.Embed(ctx, use, texts)
}

func metadata[T any](t testing.TB, doc knowledge.Document, key string) T {
	t.Helper()
	var v T
	raw, err := json.Marshal(doc.Metadata[key])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// passage is text of about n words about a subject.
func passage(subject string, n int) string {
	var b strings.Builder
	for i := range n / 12 {
		fmt.Fprintf(&b, "Note %d on %s: the signal is taken at the close and filled at the open. ", i, subject)
	}
	return b.String()
}
