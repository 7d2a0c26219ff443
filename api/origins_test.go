package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
)

// Pages of the sites that were named, and of no others, may call what a workspace's key opens; what
// the admin token or a cookie opens is nobody's but ours.
func TestOnlyNamedSitesMayCall(t *testing.T) {
	const named = "https://app.example.com"
	r := newFixture(t, func(o *api.Options) { o.CORSOrigins, o.TLSOnly = []string{named, "http://localhost:5173"}, true })
	preflight := func(path, origin string) answer {
		a, err := r.try(http.MethodOptions, path, nil, "Origin", origin,
			"Access-Control-Request-Method", http.MethodPost, "Access-Control-Request-Headers", "authorization,x-idempotency-key")
		require.NoError(t, err)
		return a
	}
	allowed := func(a answer) string { return a.header.Get("Access-Control-Allow-Origin") }
	for _, path := range []string{"/backtests/tune", "/datasets", "/events/stream", "/workspace/keys"} {
		a := preflight(path, named)
		require.Equal(t, http.StatusNoContent, a.status)
		require.Equal(t, named, allowed(a), path)
		for _, header := range []string{"Authorization", "X-Idempotency-Key", "Last-Event-ID", "X-Workspace-Id"} {
			require.Contains(t, a.header.Get("Access-Control-Allow-Headers"), header)
		}
		require.Contains(t, a.header.Get("Access-Control-Allow-Methods"), http.MethodDelete)
		require.Contains(t, strings.Join(a.header.Values("Vary"), ","), "Origin")
		require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"), "no cookie is ever sent along")
		for _, other := range []string{"https://evil.test", "null", named + ".evil.test", "https://app.example.com:444", "http://app.example.com", "https://sub.app.example.com"} {
			require.Empty(t, allowed(preflight(path, other)), other)
		}
	}
	for _, path := range []string{"/admin", "/admin/workspaces", "/admin/events/stream", "/admin/login", "/metrics"} {
		require.Empty(t, allowed(preflight(path, named)), path)
		if path != "/admin/events/stream" { // which does not end
			require.Empty(t, allowed(r.do(http.MethodGet, path, "", "X-Admin-Token", adminToken, "Origin", named)), path)
		}
	}
	// What comes back can be read, an error too; another site's page gets it and may not look.
	a := r.do(http.MethodGet, "/datasets", "", "Origin", named)
	require.Equal(t, named, allowed(a))
	require.Contains(t, a.header.Get("Access-Control-Expose-Headers"), "Location")
	require.Equal(t, named, allowed(r.do(http.MethodGet, "/datasets", "", "Origin", named, "Authorization", "")))
	require.Empty(t, allowed(r.do(http.MethodGet, "/datasets", "", "Origin", "https://evil.test")))
	require.NotEmpty(t, a.header.Get("Strict-Transport-Security"))

	alone := newFixture(t)
	require.Empty(t, allowed(alone.do(http.MethodGet, "/datasets", "", "Origin", named)), "by default there are no others")
	require.Empty(t, alone.do(http.MethodGet, "/datasets", "").header.Get("Strict-Transport-Security"), "without TLS")
}

// Every route answers with the headers that keep its content where it belongs.
func TestEveryAnswerHasItsSecurityHeaders(t *testing.T) {
	r := newFixture(t)
	for _, route := range r.server.Table() {
		if route.Streams {
			continue // the same chain, and it does not end
		}
		a := r.admin(route.Method, strings.NewReplacer(":id", r.alpha.ID.String(), ":key", "x", ":job", "x", ":entry", "1", ":name", "console.css", "*", "").Replace(route.Path), "")
		name := route.Method + " " + route.Path
		for header, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			require.Equal(t, value, a.header.Get(header), "%s: %s", name, header)
		}
		policy := a.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", name)
		require.Contains(t, policy, "frame-ancestors 'none'", name)
		for part := range strings.SplitSeq(policy, ";") {
			if strings.HasPrefix(strings.TrimSpace(part), "script-src") {
				require.Equal(t, "script-src 'self'", strings.TrimSpace(part), name)
			}
		}
		require.NotEmpty(t, a.header.Get("Permissions-Policy"), name)
		require.NotEmpty(t, a.header.Get("X-Request-Id"), name)
		require.NotEmpty(t, a.header.Get("Cache-Control"), name)
		require.NotEqual(t, http.StatusInternalServerError, a.status, name)
	}
	require.Equal(t, "nosniff", r.do(http.MethodGet, "/nowhere", "").header.Get("X-Content-Type-Options"))
}
