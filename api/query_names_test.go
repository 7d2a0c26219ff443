package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/tenants"
)

// A misspelt parameter is refused by every route of the API that reads, by name and with the ones that there are; those that
// the API's document lists are taken.
func TestAMisspeltQueryParameterIsRefusedByEveryRoute(t *testing.T) {
	n := newNeighbours(t)
	session := n.signIn(n.newKey(n.alpha, tenants.RoleOwner))
	tried := 0
	for _, route := range n.server.Table() {
		if route.Page || route.Access == "public" || route.Path == "/metrics" {
			continue
		}
		tried++
		key := "Bearer " + n.key
		if route.Role == "" || route.Access == "page for viewer" {
			key = "Bearer " + adminToken
		}
		name := route.Method + " " + route.Path
		path := n.at(route)
		a := n.do(route.Method, path+"?limt=3", route.Sample, "Authorization", key, "X-Idempotency-Key", "k")
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", name, a.body)
		if route.Method == http.MethodHead {
			continue
		}
		require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), name)
		fault := into[struct {
			Errors []struct {
				Field, Message string
				Limit          []string
			}
		}](t, a).Errors
		require.Len(t, fault, 1, name)
		require.Equal(t, "limt", fault[0].Field, name)
		require.Contains(t, fault[0].Message, "is not a parameter", name)
		for _, known := range route.Parameters {
			require.Contains(t, fault[0].Message, known, name)
		}
		require.Equal(t, route.Parameters, append([]string(nil), fault[0].Limit...), name)
	}
	require.Greater(t, tried, 70)
	for path, status := range map[string]int{
		"/backtests/tunes?limit=1&status=completed&workspace_id=" + n.alpha.ID.String(): http.StatusOK,
		"/backtests/tunes?limit=1;status=completed":                                     http.StatusBadRequest,
		"/backtests/tunes?statsu=failed&stratgy=x":                                      http.StatusBadRequest,
		"/healthz?probe=1": http.StatusOK,
	} {
		require.Equal(t, status, n.do(http.MethodGet, path, "", "Authorization", "Bearer "+n.key).status, path)
	}
	head, err := n.try(http.MethodHead, "/datasets/"+n.ids["/datasets/"]+"/bars?fromat=parquet", nil, "Authorization", "Bearer "+n.key)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, head.status)
	require.Equal(t, http.StatusOK, n.with(session, http.MethodGet, "/admin/tunes?anything=1", "", "Accept", "text/html").status, "a page")
}
