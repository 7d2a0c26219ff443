package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
)

// creations are bodies for routes whose example would not do.
var creations = map[string]string{
	"/ingest/youtube": `{"url":"https://www.youtube.com/watch?v=dQw4w9WgXcQ"}`,
	"/ingest/pdf":     `{"url":"https://example.com/paper.pdf"}`,
	"/ingest/article": `{"url":"https://example.com/article"}`,
	"/ingest/pine":    `{"text":"//@version=6\nindicator(\"x\")"}`,
	"/ingest/text":    `{"text":"A crossover fails in a market without trend."}`,
	"/ingest/dataset": `{"url":"https://example.com/bars.csv","title":"bars","symbol":"B","timeframe":"1d"}`,

	"/workspace/keys":                              `{"name":"once","role":"viewer"}`,
	"/admin/workspaces/:id/keys":                   `{"name":"once and by an admin","role":"viewer"}`,
	"/admin/tokens":                                `{"name":"once"}`,
	"/admin/workspaces":                            `{"name":"once"}`,
	"/webhooks/:id/test":                           `{}`,
	"/webhooks/:id/deliveries/:delivery/redeliver": `{}`,

	"/schedules":                    `{"name": "weekly", "kind": "tune", "cron": "0 6 * * 1", "request": {"dataset": "sp500", "strategy_name": "sma_cross", "param_space": {"fast": [5, 10], "slow": [50, 100]}}}`,
	"/schedules/:id/run":            `{}`,
	"/documents/:id/reingest":       `{}`,
	"/bulk":                         `{"kind":"tune","action":"tag","tags":["x"],"filter":{"ids":[]},"confirm":0}`,
	"/backtests/tunes/:id/retry":    `{}`,
	"/backtests/wfo/:id/retry":      `{}`,
	"/run-plans/:id/retry":          `{}`,
	"/ingest/jobs/:id/retry":        `{}`,
	"/admin/workspaces/:id/reembed": `{}`,
}

// Every route of the router that creates work takes a key and creates once: the same again gets the
// same status, headers and bytes, another body is distinguished, and no key is left without an answer.
func TestEveryCreatingRouteCreatesOnce(t *testing.T) {
	n := newNeighbours(t)
	tried := 0
	for _, route := range n.server.Table() {
		if !route.Creates {
			continue
		}
		tried++
		path := strings.Replace(n.at(route), "/prune/"+n.alpha.ID.String(), "/prune/job-runs", 1)
		body := route.Sample
		if given := creations[route.Path]; given != "" {
			body = given
		}
		require.NotEmpty(t, body, "%s: give it a body in creations", route.Path)
		if subject, ok := strings.CutSuffix(path, "/retry"); ok {
			n.exec(`update ingest_jobs set url = 'https://example.com/notes'`) // what was sent is not kept
			require.Less(t, n.do(http.MethodPost, subject+"/cancel", "").status, 300, path)
		}
		key := "Bearer " + n.key
		if route.Access == "admin token" {
			key = "Bearer " + adminToken
		}
		n.createsOnce(route, path, body, key)
	}
	require.GreaterOrEqual(t, tried, 14)
	require.Zero(t, n.count(`select count(*) from idempotency_keys where status is null or body is null`), "a key is pending")
}

func (n *neighbours) createsOnce(route api.Route, path, body, key string) {
	t := n.t
	t.Helper()
	send := func(body string, headers ...string) answer {
		a, err := n.try(http.MethodPost, path, strings.NewReader(body), append([]string{"Authorization", key}, headers...)...)
		require.NoError(t, err)
		return a
	}
	for _, bad := range []string{"", "a\x00", "\x01", "a\tb", "a\r\nX-Workspace-Id: b", "\x7f", "\u00e9", "\u2028", strings.Repeat("k", 256)} {
		// Not over a connection: a client or server of HTTP would refuse some of these before us.
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		req.Header = http.Header{"Authorization": {key}, "X-Idempotency-Key": {bad}}
		recorded := httptest.NewRecorder()
		n.server.Handler().ServeHTTP(recorded, req)
		require.Equal(t, http.StatusBadRequest, recorded.Code, "%s: %q: %s", path, bad, recorded.Body)
		require.Contains(t, recorded.Body.String(), "X-Idempotency-Key")
	}
	first := send(body, "X-Idempotency-Key", "once")
	require.Less(t, first.status, 300, "%s: %s", path, first.body)
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	var value any
	require.NoError(t, json.Unmarshal([]byte(body), &value))
	respelled, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	for _, same := range []string{body, string(respelled)} {
		again := send(same, "X-Idempotency-Key", "once")
		require.Equal(t, first.status, again.status, path)
		require.Equal(t, string(first.body), string(again.body), path)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"), path)
		for _, header := range []http.Header{first.header, again.header} {
			for _, own := range []string{"Date", "X-Request-Id", "Idempotency-Replayed", "Ratelimit", "Ratelimit-Policy"} {
				header.Del(own)
			}
		}
		require.Equal(t, first.header, again.header, path)
	}
	other := `{"anything":1}`
	if strings.HasPrefix(path, "/ingest") {
		other = `{"text":"another text","title":"another"}`
	}
	require.Equal(t, http.StatusUnprocessableEntity, send(other, "X-Idempotency-Key", "once").status, path)
	require.Equal(t, 1, n.count(fmt.Sprintf(`select count(*) from idempotency_keys where route = 'POST %s' and key = 'once'`, route.Path)))
}
