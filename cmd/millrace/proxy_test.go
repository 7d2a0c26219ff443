package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// What only reads and meets a server that is not ready is asked of the other one; what changes something is not sent twice.
func TestTheProxyTakesReadsFromAServerThatIsNotReady(t *testing.T) {
	t.Parallel()
	var asked [2]atomic.Int64
	var unready atomic.Bool
	var hosts []string
	for i := range asked {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" {
				return
			}
			asked[i].Add(1)
			if i == 0 && unready.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(server.Close)
		hosts = append(hosts, strings.TrimPrefix(server.URL, "http://"))
	}
	url := startProxy(t, hosts[0], hosts[1])
	unready.Store(true)
	send := func(method, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(""))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	for range 10 {
		require.Equal(t, http.StatusOK, send(http.MethodGet, "/backtests/tunes"))
	}
	require.Positive(t, asked[0].Load(), "the server that is not ready was never asked, so this shows nothing")
	before := asked[0].Load() + asked[1].Load()
	refused := 0
	for range 10 {
		if send(http.MethodPost, "/backtests/tune") == http.StatusServiceUnavailable {
			refused++
		}
	}
	require.Equal(t, int64(10), asked[0].Load()+asked[1].Load()-before, "a POST was sent twice")
	require.Positive(t, refused)
}
