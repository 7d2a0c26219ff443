package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/events"
	"millrace/jobs"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/worker/deletion"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/gate"
	"millrace/jobs/worker/retention"
	"millrace/jobs/worker/schedule"
	"millrace/jobs/worker/tune"
	"millrace/jobs/worker/wfo"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/requests"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/vector"
	"millrace/store/webhooks"
)

const adminToken = "test-admin-token-0123456789"

// fixture is a real server on a real database, and a worker when asked for.
type fixture struct {
	look  health.Options
	t     *testing.T
	store *stores.Set
	url   string
	db    *pgtest.DB
	key   string // of an owner in workspace "alpha"
	other string // of an owner in workspace "beta"
	alpha tenants.Workspace
	beta  tenants.Workspace

	hub     *events.Hub
	metrics *ops.Metrics
	logger  *slog.Logger
	server  *api.Server
}

// newFixture starts a server; with changes its options.
func newFixture(t *testing.T, with ...func(*api.Options)) *fixture {
	t.Helper()
	r := &fixture{t: t, db: pgtest.New(t)}
	logger := slog.New(slog.DiscardHandler)
	metrics := ops.NewMetrics()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: r.db.URL, MaxConns: 12})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, logger)
	require.NoError(t, err)
	r.store = stores.New(pool, client)
	r.store.SetWorkspaces(r.db.LimitedPool(t))
	feed := events.NewFeed(events.Options{Store: r.store, Metrics: metrics, Logger: logger})
	require.NoError(t, feed.Start(t.Context()))
	t.Cleanup(func() { _ = feed.Stop(context.Background()) })
	r.hub, r.metrics, r.logger = feed.Hub(), metrics, logger
	r.look = health.Options{Store: r.store, Main: r.store, Feed: feed.Status}
	opts := api.Options{
		Store: r.store, Hub: feed.Hub(), Health: health.New(r.look), Ready: health.Ready(r.look), Metrics: metrics, Logger: logger, AdminToken: adminToken, Version: "test", Docs: true,
		Webhooks: api.WebhookOptions{Keys: webhookKeys(t)},
	}
	for _, change := range with {
		change(&opts)
	}
	server, err := api.New(opts)
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { server.EndStreams(); web.Close() })
	r.url, r.server = web.URL, server
	r.loadContract()

	r.alpha, err = r.store.Tenants.CreateWorkspace(t.Context(), "alpha", 2)
	require.NoError(t, err)
	r.beta, err = r.store.Tenants.CreateWorkspace(t.Context(), "beta", 2)
	require.NoError(t, err)
	r.key = r.newKey(r.alpha, tenants.RoleOwner)
	r.other = r.newKey(r.beta, tenants.RoleOwner)
	return r
}

func webhookKeys(t *testing.T) webhooks.Keyring {
	t.Helper()
	keys, err := webhooks.NewKeyring("a key that only tests have")
	require.NoError(t, err)
	return keys
}

func (r *fixture) newKey(w tenants.Workspace, role tenants.Role) string {
	r.t.Helper()
	key, err := r.store.Tenants.CreateKey(r.t.Context(), w.ID, "test", role)
	require.NoError(r.t, err)
	return key
}

// startWorker works the queues until the test ends.
func (r *fixture) startWorker() {
	r.t.Helper()
	r.startSlots(jobs.Slots{jobs.QueueTrials: 2, jobs.QueueTunes: 1, jobs.QueueWFO: 1, jobs.QueueRetention: 1}, tune.Options{})
}

// startSlots works some queues until the test ends.
func (r *fixture) startSlots(slots jobs.Slots, opts tune.Options) {
	r.t.Helper()
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	pool, err := store.OpenPool(r.t.Context(), store.PoolOptions{DatabaseURL: r.db.URL, MaxConns: 10})
	require.NoError(r.t, err)
	r.t.Cleanup(pool.Close)
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: slots, Metrics: metrics, Logger: logger,
		Version: "test", Drain: 5 * time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, opts).Register(workers)
		gate.New(st.DB, st.Strategies, metrics, logger).Register(workers)
		wfo.New(wfo.Stores{DB: st.DB, Market: st.Market, Strategies: st.Strategies, Tuning: st.Tuning, WalkForward: st.WalkForward}, metrics, logger, wfo.Options{}).Register(workers)
		retention.New(st.DB, st.Upkeep, logger).Register(workers)
		deletion.New(st.DB, st.Lifecycle, vector.NewEmbedded(pool, pool, 0), metrics, logger).Register(workers)
		schedule.New(schedule.Stores{
			DB: st.DB, Requests: requests.Checker{Market: st.Market, Strategies: st.Strategies}, Library: st.Library, Schedules: st.Schedules, Tuning: st.Tuning,
			WalkForward: st.WalkForward,
		}, 0, logger).Register(workers)
	})
	require.NoError(r.t, err)
	require.NoError(r.t, member.Start(r.t.Context()))
	r.t.Cleanup(func() { _ = member.Stop(context.Background()) })
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (r *fixture) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	a, err := r.try(method, path, strings.NewReader(body), append([]string{"Authorization", "Bearer " + r.key}, headers...)...)
	require.NoError(r.t, err)
	return a
}

// try may be called from any goroutine; later headers replace earlier ones.
func (r *fixture) try(method, path string, body io.Reader, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, r.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i] == "Host" {
			req.Host = headers[i+1]
		} else if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	a := answer{resp.StatusCode, resp.Header, content}
	if err == nil {
		keepsContract(r.t, req, a)
	}
	return a, err
}

// withSample uploads the bundled sample as sp500.
func (r *fixture) withSample() *fixture {
	r.t.Helper()
	a := r.upload(r.key, "sp500", ohlcv.Sample())
	require.Equal(r.t, http.StatusCreated, a.status, string(a.body))
	return r
}

// count runs a query of the owner. It is called in loops, so it keeps no connection.
func (r *fixture) count(query string) int {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.db.OwnerURL)
	require.NoError(r.t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(r.t.Context())) }()
	var n int
	require.NoError(r.t, conn.QueryRow(r.t.Context(), query).Scan(&n))
	return n
}

func into[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal(a.body, &v), string(a.body))
	return v
}

const smallTune = `{"dataset":"sp500","strategy_name":"sma_cross","oos_ratio":0.3,
	"param_space":{"fast":{"low":5,"high":20,"step":5},"slow":[50,100,200]},"gates":{"max_drawdown_pct":90}}`

func TestFiftyConcurrentSubmissionsMakeOneTune(t *testing.T) {
	r := newFixture(t).withSample()
	const clients = 50
	answers := make(chan answer, clients)
	failed := make(chan error, clients)
	for range clients {
		go func() {
			a, err := r.try(http.MethodPost, "/backtests/tune", strings.NewReader(smallTune),
				"Authorization", "Bearer "+r.key, "X-Idempotency-Key", "same")
			if err != nil {
				failed <- err
				return
			}
			answers <- a
		}()
	}
	var first answer
	replayed := 0
	for range clients {
		select {
		case err := <-failed:
			require.NoError(t, err)
		case a := <-answers:
			require.Equal(t, http.StatusAccepted, a.status, string(a.body))
			if first.body == nil {
				first = a
			}
			require.Equal(t, string(first.body), string(a.body))
			require.Equal(t, first.header.Get("Location"), a.header.Get("Location"))
			if a.header.Get("Idempotency-Replayed") == "true" {
				replayed++
			}
		}
	}
	require.Equal(t, clients-1, replayed)
	require.Equal(t, 1, r.count(`select count(*) from tunes`))
	require.Equal(t, 1, r.count(`select count(*) from river_job`))

	// Another spelling of the same JSON is the same request; another body is not.
	spaced := r.do(http.MethodPost, "/backtests/tune", strings.ReplaceAll(smallTune, ":", " : "), "X-Idempotency-Key", "same")
	require.Equal(t, string(first.body), string(spaced.body))
	other := r.do(http.MethodPost, "/backtests/tune", strings.Replace(smallTune, "0.3", "0.4", 1), "X-Idempotency-Key", "same")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
}

func TestATuneRunsToItsLeaderboard(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	submitted := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "one")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	type tuneView struct {
		Status      string           `json:"status"`
		Counts      map[string]int   `json:"counts"`
		BestParams  map[string]int   `json:"best_params"`
		Leaderboard []map[string]any `json:"leaderboard"`
		Overfit     map[string]any   `json:"overfit"`
		Regime      map[string]any   `json:"regime"`
	}
	var view tuneView
	require.Eventually(t, func() bool {
		view = into[tuneView](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
		return view.Status == "completed"
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 12, view.Counts["completed"]+view.Counts["skipped"])
	require.NotEmpty(t, view.BestParams)
	listed := into[struct{ Items []tuneView }](t, r.do(http.MethodGet, "/backtests/tunes", ""))
	require.Equal(t, view.BestParams, listed.Items[0].BestParams)
	require.NotNil(t, view.Overfit["dsr"])
	require.NotNil(t, view.Overfit["pbo"])
	require.Equal(t, "regime_v1_1", view.Regime["schema"])
	require.Len(t, view.Regime["fingerprint"], 64)

	byScore := into[struct {
		Items []struct {
			Index int      `json:"trial_index"`
			Score *float64 `json:"score"`
		}
	}](t, r.do(http.MethodGet, submitted.header.Get("Location")+"/trials?sort=score", ""))
	require.Len(t, byScore.Items, 12)
	require.EqualValues(t, view.Leaderboard[0]["trial_index"], byScore.Items[0].Index)
	board := into[struct{ Items []map[string]any }](t, r.do(http.MethodGet, "/backtests/leaderboard?objective=sharpe", ""))
	require.Len(t, board.Items, view.Counts["completed"])
	require.Equal(t, view.Leaderboard[0]["score"], board.Items[0]["score"])
}

func TestAWorkspaceDoesNotSeeAnothers(t *testing.T) {
	r := newFixture(t).withSample()
	tune := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "mine")
	require.Equal(t, http.StatusAccepted, tune.status, string(tune.body))
	run := r.do(http.MethodPost, "/backtests/run", `{"dataset":"sp500","strategy_name":"sma_cross"}`, "X-Idempotency-Key", "run")
	require.Equal(t, http.StatusCreated, run.status, string(run.body))
	foreign := []string{"Authorization", "Bearer " + r.other, "X-Idempotency-Key", "theirs"}
	for _, path := range []string{
		tune.header.Get("Location"), tune.header.Get("Location") + "/trials",
		run.header.Get("Location"), run.header.Get("Location") + "/trades", run.header.Get("Location") + "/equity",
	} {
		require.Equal(t, http.StatusOK, r.do(http.MethodGet, path, "").status, path)
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "", foreign...).status, path)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, tune.header.Get("Location")+"/cancel", "", foreign...).status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, "/backtests/tune", smallTune, foreign...).status)
	for _, path := range []string{"/backtests/tunes", "/datasets", "/events", "/backtests/leaderboard"} {
		list := into[struct{ Items []any }](t, r.do(http.MethodGet, path, "", foreign...))
		require.Empty(t, list.Items, path)
	}
	require.Equal(t, http.StatusBadRequest,
		r.do(http.MethodGet, "/datasets", "", "X-Workspace-Id", "018f0000-0000-7000-8000-000000000000").status)
	viewer := r.newKey(r.alpha, tenants.RoleViewer)
	require.Equal(t, http.StatusForbidden,
		r.do(http.MethodPost, "/backtests/tune", smallTune, "Authorization", "Bearer "+viewer, "X-Idempotency-Key", "v").status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/datasets", "", "Authorization", "").status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/metrics", "").status)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/metrics", "", "X-Admin-Token", adminToken).status)
}

// With no filter of ours at all, the database shows a session no workspace's rows but its own.
func TestRowLevelSecurityAloneLeaksNothing(t *testing.T) {
	r := newFixture(t).withSample()
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
	pool := r.store.Pool()
	for _, table := range []string{"workspaces", "api_keys", "datasets", "tunes", "idempotency_keys", "event_log"} {
		var rows int
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows))
		require.Zero(t, rows, "%s without a workspace", table)
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "set local millrace.workspace = '"+r.alpha.ID.String()+"'")
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows))
		require.Positive(t, rows, "%s in its own workspace", table)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}
