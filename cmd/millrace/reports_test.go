package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/ops/sentrytest"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// runVerb runs a verb in this process until the test, or what it returns, stops it.
func runVerb(t *testing.T, args ...string) (*process, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log, done := &lockedBuffer{}, make(chan int, 1)
	go func() { done <- run(ctx, args, log, log) }()
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cancel()
			require.Zero(t, <-done, log)
		}
	}
	t.Cleanup(stop)
	return &process{t: t, log: log}, stop
}

// What fails for good in the API or in a worker reaches Sentry once, named by its route or kind; what a
// user's own input brought about does not, and probes and scrapes are not traced.
func TestEachFailureOfOursIsOneEventAndNoUsersFaultIs(t *testing.T) {
	sentry, db := sentrytest.New(t), pgtest.New(t)
	only(t, "DATABASE_URL", db.URL, "MILLRACE_ADDR", "127.0.0.1:0", "ADMIN_TOKEN", "admin-token-of-the-reports-test-01",
		"SENTRY_DSN", sentry.DSN, "SENTRY_TRACES_SAMPLE_RATE", "1", "LIMIT_UPLOADS", "0",
		"MILLRACE_QUEUES", "trials:1,tunes:1,wfo:1,ingestion:1,maintenance:1,retention:1")
	owner := db.OwnerPool(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(t, err)
	st := stores.New(pool, nil)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "reports", 2)
	require.NoError(t, err)
	key, err := st.Tenants.CreateKey(t.Context(), space.ID, "reports", tenants.RoleOwner)
	require.NoError(t, err)
	pool.Close()

	api, stopAPI := runVerb(t, "api")
	f := &fleetUnderTest{t: t, key: key, url: "http://" + strings.Fields(api.await(" addr="))[0]}
	f.upload("bars", ohlcv.Sample())
	tune := f.submit("tune", `{"dataset":"bars","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]}}`)
	refused := map[string]string{ // by what is sent: why
		`{"text":"time,open,high,low,close\ncell-of-a-user,1,1,1,1\n","source_type":"dataset","title":"bad"}`: "a bad CSV",
		`{"url":"http://127.0.0.1:1/feed?sig=signature-of-a-user"}`:                                           "an address that may not be fetched",
	}
	var ingestions []string
	status, answer := f.call(http.MethodPost, "/ingest", "application/json", strings.NewReader(`{"text":"Momentum persists.","title":"good"}`), "X-Idempotency-Key", "good")
	require.Equal(t, http.StatusAccepted, status, string(answer))
	accepted := func(answer []byte) {
		var made struct {
			JobID string `json:"job_id"`
		}
		require.NoError(t, json.Unmarshal(answer, &made))
		ingestions = append(ingestions, made.JobID)
	}
	accepted(answer)
	for body, what := range refused {
		status, answer := f.call(http.MethodPost, "/ingest", "application/json", strings.NewReader(body), "X-Idempotency-Key", strings.ReplaceAll(what, " ", "-"))
		require.Equal(t, http.StatusAccepted, status, "%s: %s", what, answer)
		accepted(answer)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		_, _ = f.call(http.MethodGet, path, "", nil, "X-Admin-Token", "admin-token-of-the-reports-test-01")
	}
	_, err = owner.Exec(t.Context(), `alter table tune_leaderboard rename to tune_leaderboard_away`)
	require.NoError(t, err)
	status, _ = f.call(http.MethodGet, "/backtests/leaderboard?objective=sharpe", "", nil)
	require.Equal(t, http.StatusInternalServerError, status)
	_, err = owner.Exec(t.Context(), `alter table tune_leaderboard_away rename to tune_leaderboard`)
	require.NoError(t, err)

	// The bars are damaged, which every attempt meets, and this is the last.
	_, err = owner.Exec(t.Context(), `update datasets set data = 'damaged'`)
	require.NoError(t, err)
	_, err = owner.Exec(t.Context(), `update river_job set max_attempts = 1 where kind = 'tune.plan'`)
	require.NoError(t, err)
	worker, stopWorker := runVerb(t, "worker")
	require.Equal(t, "failed", f.wait(tune.TuneID, ended).Status)
	for _, id := range ingestions {
		require.Eventually(t, func() bool {
			_, answer := f.call(http.MethodGet, "/ingest/jobs/"+id, "", nil)
			return strings.Contains(string(answer), `"status":"failed"`) || strings.Contains(string(answer), `"status":"completed"`)
		}, 30*time.Second, 20*time.Millisecond)
	}
	stopWorker()
	stopAPI()

	require.Len(t, sentry.Of("event"), 2, "%s", sentry.Raw())
	require.Len(t, sentry.Named("event", "tune.plan"), 1)
	failed := sentry.Named("event", "tune.plan")[0]["tags"].(map[string]any)
	for tag, want := range map[string]string{"kind": "tune.plan", "attempt": "1", "workspace_id": space.ID.String(), "strategy": "sma_cross"} {
		require.Equal(t, want, failed[tag], tag)
	}
	require.NotEmpty(t, failed["job_id"])
	require.Len(t, sentry.Named("event", "GET /backtests/leaderboard"), 1)
	answered := sentry.Named("event", "GET /backtests/leaderboard")[0]["tags"].(map[string]any)
	require.Equal(t, "/backtests/leaderboard", answered["route"])
	require.Equal(t, space.ID.String(), answered["workspace_id"])

	spans := func(name string) (statuses []string) {
		for _, span := range sentry.Named("transaction", name) {
			trace := span["contexts"].(map[string]any)["trace"].(map[string]any)
			statuses = append(statuses, trace["status"].(string))
		}
		return statuses
	}
	require.Equal(t, []string{"internal_error"}, spans("tune.plan"))
	require.Equal(t, "sma_cross", sentry.Named("transaction", "tune.plan")[0]["tags"].(map[string]any)["strategy"])
	require.ElementsMatch(t, []string{"ok", "invalid_argument", "invalid_argument"}, spans("ingest.source"))
	require.Equal(t, []string{"internal_error"}, spans("GET /backtests/leaderboard"))
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		require.Empty(t, spans("GET "+path), path)
	}
	for _, private := range []string{key, "cell-of-a-user", "signature-of-a-user", "admin-token-of-the-reports-test-01"} {
		require.NotContains(t, sentry.Raw(), private)
	}
	log := worker.log.String()
	require.Equal(t, 1, strings.Count(log, "level=ERROR"), log)
	require.Equal(t, 1, strings.Count(log, "job failed for good"), log)
	require.Equal(t, 2, strings.Count(log, `level=INFO msg="job refused its input"`), log)
}
