package ops_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/ops"
)

func TestProfilesNeedTheAdminToken(t *testing.T) {
	get := func(token, path, given string) (int, string) {
		server := httptest.NewServer(ops.Internal(ops.NewMetrics().Registry, token))
		defer server.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		if given != "" {
			req.Header.Set("Authorization", "Bearer "+given)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	status, body := get("", "/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `tune_runs_total{status="failed"} 0`, "series exist before the first failure")
	require.Contains(t, body, `llm_degraded_total{reason_code="llm_timeout"} 0`)
	status, _ = get("", "/debug/pprof/", "")
	require.Equal(t, http.StatusNotFound, status, "without a token there are no profiles")
	for given, want := range map[string]int{"": 401, "guess": 401, "the-token": 200} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=1"} {
			status, _ = get("the-token", path, given)
			require.Equal(t, want, status, "%s with %q", path, given)
		}
	}
}
