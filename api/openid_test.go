package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/api/signin"
	"millrace/ops/openidtest"
	"millrace/store/tenants"
)

// openIDGrants are those of the tests.
func openIDGrants(t *testing.T) []signin.Grant {
	t.Helper()
	var all []signin.Grant
	for _, text := range []string{"ops=admin", "quants=alpha:member", "cn=owners,dc=x=beta:owner", "lost=nowhere:viewer"} {
		g, err := signin.ParseGrant(text)
		require.NoError(t, err)
		all = append(all, g)
	}
	return all
}

// withOpenID has a server sign people in through the provider.
func withOpenID(t *testing.T, p *openidtest.Provider, change ...func(*signin.Options)) func(*api.Options) {
	opts := signin.Options{
		Issuer: p.URL, ClientID: openidtest.Client, ClientSecret: openidtest.Secret, RedirectURL: "http://127.0.0.1/admin/login/oidc/callback",
		Scopes: []string{"openid", "email"}, Claim: "groups", Grants: openIDGrants(t),
	}
	for _, fn := range change {
		fn(&opts)
	}
	require.NoError(t, opts.Validate())
	return func(o *api.Options) {
		o.OpenID = api.OpenIDOptions{Provider: signin.New(opts), Seal: opts.Seal(), Issuer: opts.Issuer, Session: time.Hour}
		o.Limits.Login = tenants.Rate{}
	}
}

// browser is one that keeps cookies and follows nothing by itself.
type browser struct {
	r       *fixture
	cookies map[string]string
}

func (b *browser) get(path string) (status int, location, body string) {
	b.r.t.Helper()
	req, err := http.NewRequestWithContext(b.r.t.Context(), http.MethodGet, b.r.url+path, http.NoBody)
	require.NoError(b.r.t, err)
	req.Header.Set("Accept", "text/html")
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(b.r.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b.r.t, err)
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
			continue
		}
		require.True(b.r.t, c.HttpOnly, c.Name)
		b.cookies[c.Name] = c.Value
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(raw)
}

// begin goes to the provider and comes back with what it gives: the path of the callback.
func (b *browser) begin(p *openidtest.Provider, next string) string {
	b.r.t.Helper()
	status, to, body := b.get("/admin/login/oidc?next=" + url.QueryEscape(next))
	require.Equal(b.r.t, http.StatusSeeOther, status, body)
	code, state := p.Approve(to)
	return signin.CallbackPath + "?code=" + code + "&state=" + state
}

func (r *fixture) newBrowser() *browser { return &browser{r: r, cookies: map[string]string{}} }

func TestAPersonSignsInThroughTheProvider(t *testing.T) {
	p := openidtest.New(t)
	r := newFixture(t, withOpenID(t, p)).withSample()
	b := r.newBrowser()
	_, _, page := b.get("/admin/login")
	require.Contains(t, page, `href="/admin/login/oidc?next=`)
	require.Contains(t, page, "127.0.0.1")
	before := len(r.audits())
	status, to, body := b.get(b.begin(p, "/admin/tunes"))
	require.Equal(t, http.StatusSeeOther, status, body)
	require.Equal(t, "/admin/tunes", to)
	status, _, page = b.get("/admin/tunes")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "ada@example.com")
	status, _, _ = b.get("/admin/retention")
	require.Equal(t, http.StatusForbidden, status, "a member of a workspace is not an admin of the server")
	all := r.audits()
	require.Len(t, all, before+1)
	last := all[before]
	require.Equal(t, []string{"GET " + signin.CallbackPath, "key", "ada@example.com", "member", "ok", r.alpha.ID.String()},
		[]string{last.Route, last.Actor.Kind, last.Actor.Name, last.Actor.Role, last.Outcome, last.WorkspaceID})

	// The person is a key of the workspace whose secret nobody has: there is one however often the person comes.
	status, _, _ = b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, 1, r.count(`select count(*) from api_keys where subject like '% 248289761001'`))
	// Another role at the provider ends the sessions with the one before; a revocation ends all.
	old := &browser{r: r, cookies: map[string]string{}}
	status, _, _ = old.get(old.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status)
	keys := r.admin(http.MethodGet, "/admin/workspaces/"+r.alpha.ID.String()+"/keys", "")
	var id string
	for _, key := range into[struct {
		Items []struct {
			KeyID string `json:"key_id"`
			Name  string
		}
	}](t, keys).Items {
		if key.Name == "ada@example.com" {
			id = key.KeyID
		}
	}
	require.NotEmpty(t, id, string(keys.body))
	require.Equal(t, http.StatusNoContent, r.admin(http.MethodDelete, "/admin/workspaces/"+r.alpha.ID.String()+"/keys/"+id, "").status)
	for _, one := range []*browser{b, old} {
		status, to, _ = one.get("/admin/tunes")
		require.Equal(t, http.StatusSeeOther, status)
		require.Contains(t, to, "/admin/login")
	}

	// An admin's group goes before others, and one of another workspace opens that alone.
	p.Set(func() { p.Claims["groups"] = []string{"quants", "ops"} })
	status, _, _ = b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status)
	status, _, _ = b.get("/admin/retention")
	require.Equal(t, http.StatusOK, status)
	p.Set(func() { p.Claims["groups"], p.Claims["sub"] = "cn=owners,dc=x", "2" })
	c := r.newBrowser()
	status, _, _ = c.get(c.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, 1, r.count(`select count(*) from api_keys k join workspaces w on w.id = k.workspace_id where k.subject like '% 2' and w.name = 'beta' and k.role = 'owner'`))

	// Sessions end with the configuration that they began under.
	status, _, _ = c.get("/admin/tunes")
	require.Equal(t, http.StatusOK, status)
	other := *r
	other.url = r.another(withOpenID(t, p, func(o *signin.Options) { o.Grants = o.Grants[:1] }))
	status, _, _ = (&browser{r: &other, cookies: c.cookies}).get("/admin/tunes")
	require.Equal(t, http.StatusSeeOther, status)
}

// What a provider that lies, replays or is not well answers opens nothing, and says why.
func TestAnAnswerThatIsNotForThisSignInOpensNothing(t *testing.T) {
	p := openidtest.New(t)
	r := newFixture(t, withOpenID(t, p))
	person := maps.Clone(p.Claims)
	refused := func(name string, want int, claims map[string]any, change func(callback string) string) {
		t.Helper()
		p.Set(func() { p.Claims = maps.Clone(person); maps.Copy(p.Claims, claims) })
		b := r.newBrowser()
		callback := b.begin(p, "/admin")
		if change != nil {
			callback = change(callback)
		}
		before := len(r.audits())
		status, _, page := b.get(callback)
		require.Equal(t, want, status, "%s: %s", name, page)
		require.Contains(t, page, "role=\"alert\"", name)
		require.NotContains(t, b.cookies, "millrace_session", name)
		if want == http.StatusForbidden {
			all := r.audits()
			require.Len(t, all, before+1, name)
			require.Equal(t, "refused", all[before].Outcome, name)
		}
	}
	refused("another nonce", http.StatusForbidden, map[string]any{"nonce": "of another sign-in"}, nil)
	refused("no nonce", http.StatusForbidden, map[string]any{"nonce": nil}, nil)
	refused("another audience", http.StatusForbidden, map[string]any{"aud": "another client"}, nil)
	refused("another issuer", http.StatusForbidden, map[string]any{"iss": "https://elsewhere.example"}, nil)
	refused("an old token", http.StatusForbidden, map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()}, nil)
	refused("no group that opens something", http.StatusForbidden, map[string]any{"groups": []string{"staff"}}, nil)
	refused("no groups", http.StatusForbidden, map[string]any{"groups": nil}, nil)
	refused("groups of another form", http.StatusForbidden, map[string]any{"groups": map[string]any{"ops": true}}, nil)
	refused("a workspace that is not there", http.StatusForbidden, map[string]any{"groups": "lost"}, nil)
	refused("no subject", http.StatusForbidden, map[string]any{"sub": ""}, nil)
	refused("another code", http.StatusForbidden, nil, func(callback string) string { return strings.Replace(callback, "code=", "code=x", 1) })
	refused("another state", http.StatusBadRequest, nil, func(callback string) string { return callback + "x" })
	refused("an error", http.StatusForbidden, nil, func(callback string) string { return callback + "&error=access_denied" })
	refused("another provider's answer", http.StatusForbidden, nil, func(callback string) string { return callback + "&iss=https%3A%2F%2Felsewhere.example" })
	p.Set(func() { p.Claims = person })

	// A state is used once, and by the browser that began.
	b := r.newBrowser()
	callback := b.begin(p, "/admin")
	binder := b.cookies["millrace_sign_in"]
	status, _, _ := r.newBrowser().get(callback)
	require.Equal(t, http.StatusBadRequest, status, "another browser")
	status, _, page := b.get(callback)
	require.Equal(t, http.StatusSeeOther, status, page)
	status, _, _ = (&browser{r: r, cookies: map[string]string{"millrace_sign_in": binder}}).get(callback)
	require.Equal(t, http.StatusBadRequest, status, "again")
	require.Zero(t, r.count(`select count(*) from sign_ins where expires_at < now()`))

	// The place to go is one of this server.
	_, to, _ := b.get(b.begin(p, "https://elsewhere.example/admin"))
	require.Equal(t, "/admin", to)

	// Rotated keys are fetched, and a signature of none of them opens nothing.
	p.Rotate("second")
	status, _, page = b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status, page)
	forger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p.Set(func() { p.Signer = forger })
	refused("a signature of another key", http.StatusForbidden, nil, nil)
}

// A provider that is away keeps nobody from signing in by key, and nothing waits for it.
func TestAProviderThatIsAwayIsReportedAndKeysStillWork(t *testing.T) {
	p := openidtest.New(t)
	r := newFixture(t, withOpenID(t, p))
	away := func(name string, b *browser, path string) {
		t.Helper()
		status, _, page := b.get(path)
		require.Equal(t, http.StatusServiceUnavailable, status, name)
		require.Contains(t, page, "Keys and tokens work", name)
		require.NotContains(t, b.cookies, "millrace_session", name)
	}
	p.Set(func() { p.Status = http.StatusBadGateway })
	away("no document", r.newBrowser(), "/admin/login/oidc")
	require.NotEmpty(t, r.signIn(r.key).Value)
	p.Set(func() { p.Status, p.Issuer = 0, "https://elsewhere.example" })
	away("a document of another issuer", r.newBrowser(), "/admin/login/oidc")
	p.Set(func() { p.Issuer = p.URL })
	b := r.newBrowser()
	callback := b.begin(p, "/admin")
	p.Set(func() { p.Status = http.StatusServiceUnavailable })
	away("no token", b, callback)
	p.Set(func() { p.Status = 0 })
	status, _, _ := b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status, "it is back")
	late := r.newBrowser()
	callback = late.begin(p, "/admin")
	p.Server.Close()
	away("nobody listens", late, callback)
	require.Contains(t, string(r.admin(http.MethodGet, "/metrics", "").body), `sign_ins_total{status="away"} `)
}
