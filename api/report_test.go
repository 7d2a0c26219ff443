package api_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/ops"
)

// What is ours is reported and logged, with its workspace and its request; what is the caller's
// mistake is neither.
func TestOnlyInternalErrorsAreReported(t *testing.T) {
	var mu sync.Mutex
	var sent bytes.Buffer
	sentry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&sent, r.Body)
		_, _ = w.Write([]byte(`{"id":"1"}`))
	}))
	defer sentry.Close()
	var log bytes.Buffer
	reporter, err := ops.NewReporter(ops.ReportOptions{DSN: strings.Replace(sentry.URL, "http://", "http://key@", 1) + "/7"})
	require.NoError(t, err)
	r := newFixture(t, func(o *api.Options) {
		o.Reporter, o.Logger = reporter, ops.NewLogger(&log, slog.LevelInfo, false)
	}).withSample()
	taken := func() string {
		require.NoError(t, reporter.Flush(t.Context()))
		mu.Lock()
		defer mu.Unlock()
		return sent.String()
	}

	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "/backtests/tunes/none", "", 404},
		{http.MethodGet, "/nowhere", "", 404},
		{http.MethodGet, "/backtests/tunes?limit=0", "", 400},
		{http.MethodPost, "/backtests/tune", strings.Replace(smallTune, "0.3", "0.9", 1), 422},
		{http.MethodPost, "/backtests/tune", "{", 400},
	} {
		require.Equal(t, test.status, r.do(test.method, test.path, test.body, "X-Idempotency-Key", "k").status, test.path)
	}
	require.Equal(t, 401, r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer mr_wrongwrongwrong").status)
	require.NotContains(t, taken(), `"exception"`)

	r.exec(`drop table tune_leaderboard cascade`)
	a := r.do(http.MethodGet, "/backtests/leaderboard?objective=sharpe", "", "X-Request-Id", "request-0001")
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.NotContains(t, string(a.body), "tune_leaderboard")
	report := taken()
	require.Equal(t, 1, strings.Count(report, `"type":"event"`), report)
	require.Contains(t, report, "tune_leaderboard")
	require.Contains(t, report, `"workspace_id":"`+r.alpha.ID.String()+`"`)
	require.Contains(t, report, `"request_id":"request-0001"`)
	require.NotContains(t, report, strings.TrimPrefix(r.key, "mr_"))

	require.Equal(t, 1, strings.Count(log.String(), "request failed"))
	require.Contains(t, log.String(), `"request_id":"request-0001"`)
	require.Contains(t, log.String(), r.alpha.ID.String())
}
