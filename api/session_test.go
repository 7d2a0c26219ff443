package api_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/ops/health"
	"millrace/store/tenants"
)

// logIn returns the session's cookie.
func (r *fixture) logIn() *http.Cookie {
	r.t.Helper()
	a, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"`+adminToken+`"}`), "Content-Type", "application/json")
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, a.status, string(a.body))
	return cookieOf(r.t, a, "millrace_session")
}

func cookieOf(t *testing.T, a answer, name string) *http.Cookie {
	t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	require.FailNow(t, "no cookie "+name)
	return nil
}

// with sends a request with a cookie and no key.
func (r *fixture) with(c *http.Cookie, method, path, body string, headers ...string) answer {
	r.t.Helper()
	a, err := r.try(method, path, strings.NewReader(body), append([]string{"Cookie", c.Name + "=" + c.Value}, headers...)...)
	require.NoError(r.t, err)
	return a
}

func TestASessionOpensTheConsole(t *testing.T) {
	r := newFixture(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	visit := func(path string) *http.Response {
		req, err := http.NewRequest(http.MethodGet, r.url+path, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/html,application/xhtml+xml")
		resp, err := browser.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	page := visit("/metrics?x=1")
	require.Equal(t, "/admin/login", page.Request.URL.Path)
	require.Equal(t, "/metrics?x=1", page.Request.URL.Query().Get("next"))
	require.Equal(t, http.StatusOK, page.StatusCode)

	post := func(token, next string) *http.Response {
		resp, err := browser.PostForm(r.url+"/admin/login", url.Values{"token": {token}, "next": {next}})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	require.Equal(t, http.StatusUnauthorized, post("not the token, not at all", "/admin").StatusCode)
	require.Equal(t, "/admin/login", visit("/admin").Request.URL.Path)
	in := post(adminToken, "/metrics?x=1")
	require.Equal(t, http.StatusOK, in.StatusCode)
	require.Equal(t, r.url+"/metrics?x=1", in.Request.URL.String())
	require.Equal(t, "/admin", visit("/admin").Request.URL.Path)
	for _, elsewhere := range []string{"https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "evil", "/\t/evil.test"} {
		require.Equal(t, r.url+"/admin", post(adminToken, elsewhere).Request.URL.String(), elsewhere)
	}
	require.Zero(t, r.count(`select count(*) from admin_sessions where expires_at < now() + interval '11 hours'`))
}

func TestASessionsCookieIsKeptFromScriptsAndOtherSites(t *testing.T) {
	r := newFixture(t)
	c := r.logIn()
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.False(t, c.Secure, "on loopback there is no TLS")
	away, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"`+adminToken+`"}`), "Host", "millrace.example.com")
	require.NoError(t, err)
	require.True(t, cookieOf(t, away, "millrace_session").Secure)

	const ticket = "/admin/events/ticket"
	body := `{"workspace_id":"` + r.alpha.ID.String() + `"}`
	for _, other := range [][]string{
		nil, // a browser would say where it comes from
		{"Origin", "https://evil.test"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site", "Origin", r.url},
		{"Sec-Fetch-Site", "same-site"},
	} {
		require.Equal(t, http.StatusForbidden, r.with(c, http.MethodPost, ticket, body, other...).status, "%v", other)
		require.Equal(t, http.StatusForbidden, r.with(c, http.MethodPost, "/admin/logout", "", other...).status, "%v", other)
	}
	require.Equal(t, http.StatusForbidden, r.with(&http.Cookie{}, http.MethodPost, "/admin/login", `{"token":"x"}`, "Origin", "https://evil.test").status)
	require.Equal(t, http.StatusCreated, r.with(c, http.MethodPost, ticket, body, "Sec-Fetch-Site", "same-origin").status)
	require.Equal(t, http.StatusCreated, r.with(c, http.MethodPost, ticket, body, "Origin", r.url).status)
	require.Equal(t, http.StatusCreated, r.do(http.MethodPost, ticket, body, "Authorization", "", "X-Admin-Token", adminToken).status)
	// A wrong header is not made good by a cookie, and the cookie is not a workspace's key.
	require.Equal(t, http.StatusUnauthorized, r.with(c, http.MethodGet, "/metrics", "", "X-Admin-Token", "x").status)
	// A header of another scheme is a proxy's, and no token of ours.
	require.Equal(t, http.StatusOK, r.with(c, http.MethodGet, "/metrics", "", "Authorization", "Basic dXNlcjpwYXNz").status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/metrics", "", "Authorization", "Basic "+adminToken).status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/datasets", "", "Authorization", "Basic "+r.key).status)
	require.Equal(t, http.StatusUnauthorized, r.with(c, http.MethodGet, "/datasets", "").status)
}

func TestASessionEnds(t *testing.T) {
	r := newFixture(t)
	inside := func(c *http.Cookie) bool { return r.with(c, http.MethodGet, "/metrics", "").status == http.StatusOK }
	c, other := r.logIn(), r.logIn()
	require.True(t, inside(c))
	out := r.with(c, http.MethodPost, "/admin/logout", "", "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusNoContent, out.status)
	require.Negative(t, cookieOf(t, out, "millrace_session").MaxAge)
	require.False(t, inside(c), "the cookie works after the logout")
	require.True(t, inside(other))
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `update admin_sessions set expires_at = now()`)
	require.NoError(t, err)
	require.False(t, inside(other), "the session works after its expiry")
	require.False(t, inside(&http.Cookie{Name: "millrace_session", Value: "guess"}))

	// The digest depends on the admin token, so that a new one ends all sessions.
	c = r.logIn()
	rotated, err := api.New(api.Options{
		Store: r.store, Hub: r.hub, Health: health.New(r.look), Ready: health.Ready(r.look), Metrics: r.metrics, Logger: r.logger, AdminToken: "another-admin-token-0123",
	})
	require.NoError(t, err)
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.AddCookie(c)
	recorder := httptest.NewRecorder()
	rotated.Handler().ServeHTTP(recorder, request)
	require.Equal(t, http.StatusUnauthorized, recorder.Code)
}

func TestLoginsAreThrottledByAddress(t *testing.T) {
	r := newFixture(t, func(o *api.Options) {
		o.Limits.Login = tenants.Rate{Most: 5, Window: time.Minute}
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	try := func(from, token string) answer {
		a, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"`+token+`"}`), "X-Forwarded-For", from)
		require.NoError(t, err)
		return a
	}
	for range 5 {
		require.Equal(t, http.StatusUnauthorized, try("192.0.2.1", "wrong").status)
	}
	over := try("198.51.100.9, 192.0.2.1", adminToken)
	require.Equal(t, http.StatusTooManyRequests, over.status, "the right token is tried for nothing, or a forged hop is believed")
	require.Regexp(t, `^[1-9][0-9]?$`, over.header.Get("Retry-After"))
	require.Equal(t, `"login";q=5;w=60`, over.header.Get("RateLimit-Policy"))
	require.Regexp(t, `^"login";r=0;t=[0-9]+$`, over.header.Get("RateLimit"))
	require.Equal(t, http.StatusOK, try("192.0.2.2", adminToken).status)
	for range 5 {
		try("2001:db8::1", "wrong")
	}
	require.Equal(t, http.StatusTooManyRequests, try("2001:db8::ffff:2", adminToken).status, "the same network of IPv6")
	require.Equal(t, http.StatusOK, try("2001:db8:0:1::1", adminToken).status)

	// Guesses in a header count too, but an address that guesses is refused before its token is looked at.
	for range 6 {
		over = r.do(http.MethodGet, "/metrics", "", "Authorization", "", "X-Admin-Token", "wrong", "X-Forwarded-For", "192.0.2.3")
	}
	require.Equal(t, http.StatusTooManyRequests, over.status)
	require.Equal(t, http.StatusTooManyRequests, r.do(http.MethodGet, "/metrics", "", "Authorization", "", "X-Admin-Token", adminToken, "X-Forwarded-For", "192.0.2.3").status)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/metrics", "", "Authorization", "", "X-Admin-Token", adminToken, "X-Forwarded-For", "192.0.2.4").status, "others are not locked out")
}

func TestForwardedAddressesAreIgnoredByDefault(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Limits.Login = tenants.Rate{Most: 2, Window: time.Minute} })
	statuses := map[int]int{}
	for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		a, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"wrong"}`), "X-Forwarded-For", from, "X-Real-Ip", from)
		require.NoError(t, err)
		statuses[a.status]++
	}
	require.Equal(t, map[int]int{http.StatusUnauthorized: 2, http.StatusTooManyRequests: 1}, statuses)
}

func TestALoginIsBounded(t *testing.T) {
	r := newFixture(t)
	for body, status := range map[string]int{
		`{`:                        http.StatusBadRequest,
		`{"tokens":"x"}`:           http.StatusBadRequest,
		`{"token":1}`:              http.StatusBadRequest,
		`{}`:                       http.StatusUnauthorized,
		strings.Repeat("x", 5<<10): http.StatusRequestEntityTooLarge,
	} {
		a, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, status, a.status, body)
	}
}

func TestWithoutATokenThereIsNoAdmin(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.AdminToken = "" })
	for _, path := range []string{"/admin", "/admin/login", "/metrics", "/admin/events/stream"} {
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "", "X-Admin-Token", "").status, path)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, "/admin/login", `{"token":""}`).status)
}
