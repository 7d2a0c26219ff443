package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/api/signin"
	"millrace/store/tenants"
)

// openID is an OpenID provider on this machine: real endpoints, codes, keys and signed tokens.
type openID struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	key    *ecdsa.PrivateKey
	signer *ecdsa.PrivateKey // of tokens, where it is not the key that it publishes
	kid    string
	codes  map[string]url.Values // what the browser was sent with, by the code that it got
	claims map[string]any        // of the person who signs in, and what a lying provider adds
	issuer string                // that its document names
	status int                   // of its answers when it is not well
}

func newOpenID(t *testing.T) *openID {
	p := &openID{t: t, codes: map[string]url.Values{}, claims: map[string]any{
		"sub": "248289761001", "email": "ada@example.com", "email_verified": true, "groups": []string{"staff", "quants"},
	}}
	p.rotate("first")
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	p.issuer = p.server.URL
	return p
}

// rotate has it sign with another key, and forget the one before.
func (p *openID) rotate(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.kid = key, kid
}

func (p *openID) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// ServeHTTP implements http.Handler.
func (p *openID) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != 0 {
		w.WriteHeader(p.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": p.issuer, "authorization_endpoint": p.server.URL + "/authorize", "token_endpoint": p.server.URL + "/token",
			"jwks_uri": p.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		}
	case "/keys":
		point := p.key.PublicKey
		text := base64.RawURLEncoding
		answer["keys"] = []any{map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": p.kid,
			"x": text.EncodeToString(point.X.FillBytes(make([]byte, 32))), "y": text.EncodeToString(point.Y.FillBytes(make([]byte, 32)))}}
	case "/token":
		id, secret, _ := r.BasicAuth()
		asked, known := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		switch {
		case id != "console" || secret != "a-secret-of-the-client":
			w.WriteHeader(http.StatusUnauthorized)
			answer["error"] = "invalid_client"
		case !known || asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			r.FormValue("redirect_uri") != asked.Get("redirect_uri"):
			w.WriteHeader(http.StatusBadRequest)
			answer["error"] = "invalid_grant"
		default:
			claims := map[string]any{"iss": p.issuer, "aud": "console", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": asked.Get("nonce")}
			maps.Copy(claims, p.claims)
			raw, _ := json.Marshal(claims)
			signer := p.key
			if p.signer != nil {
				signer = p.signer
			}
			answer = map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": oidctest.SignIDToken(signer, p.kid, "ES256", string(raw))}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// approve is what the provider gives the browser that was sent to an address, once its person has signed in there.
func (p *openID) approve(address string) (code, state string) {
	p.t.Helper()
	to, err := url.Parse(address)
	require.NoError(p.t, err)
	require.True(p.t, strings.HasPrefix(address, p.server.URL+"/authorize?"), address)
	asked := to.Query()
	require.Equal(p.t, "code", asked.Get("response_type"))
	require.NotEmpty(p.t, asked.Get("nonce"))
	code = rand.Text()
	p.set(func() { p.codes[code] = asked })
	return code, asked.Get("state")
}

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
func withOpenID(t *testing.T, p *openID, change ...func(*signin.Options)) func(*api.Options) {
	opts := signin.Options{
		Issuer: p.server.URL, ClientID: "console", ClientSecret: "a-secret-of-the-client", RedirectURL: "http://127.0.0.1/admin/login/oidc/callback",
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
func (b *browser) begin(p *openID, next string) string {
	b.r.t.Helper()
	status, to, body := b.get("/admin/login/oidc?next=" + url.QueryEscape(next))
	require.Equal(b.r.t, http.StatusSeeOther, status, body)
	code, state := p.approve(to)
	return signin.CallbackPath + "?code=" + code + "&state=" + state
}

func (r *fixture) newBrowser() *browser { return &browser{r: r, cookies: map[string]string{}} }

func TestAPersonSignsInThroughTheProvider(t *testing.T) {
	p := newOpenID(t)
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
	p.set(func() { p.claims["groups"] = []string{"quants", "ops"} })
	status, _, _ = b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status)
	status, _, _ = b.get("/admin/retention")
	require.Equal(t, http.StatusOK, status)
	p.set(func() { p.claims["groups"], p.claims["sub"] = "cn=owners,dc=x", "2" })
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
	p := newOpenID(t)
	r := newFixture(t, withOpenID(t, p))
	person := maps.Clone(p.claims)
	refused := func(name string, want int, claims map[string]any, change func(callback string) string) {
		t.Helper()
		p.set(func() { p.claims = maps.Clone(person); maps.Copy(p.claims, claims) })
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
	refused("an old token", http.StatusForbidden, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, nil)
	refused("no group that opens something", http.StatusForbidden, map[string]any{"groups": []string{"staff"}}, nil)
	refused("no groups", http.StatusForbidden, map[string]any{"groups": nil}, nil)
	refused("groups of another form", http.StatusForbidden, map[string]any{"groups": map[string]any{"ops": true}}, nil)
	refused("a workspace that is not there", http.StatusForbidden, map[string]any{"groups": "lost"}, nil)
	refused("no subject", http.StatusForbidden, map[string]any{"sub": ""}, nil)
	refused("another code", http.StatusForbidden, nil, func(callback string) string { return strings.Replace(callback, "code=", "code=x", 1) })
	refused("another state", http.StatusBadRequest, nil, func(callback string) string { return callback + "x" })
	refused("an error", http.StatusForbidden, nil, func(callback string) string { return callback + "&error=access_denied" })
	refused("another provider's answer", http.StatusForbidden, nil, func(callback string) string { return callback + "&iss=https%3A%2F%2Felsewhere.example" })
	p.set(func() { p.claims = person })

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
	p.rotate("second")
	status, _, page = b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status, page)
	forger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p.set(func() { p.signer = forger })
	refused("a signature of another key", http.StatusForbidden, nil, nil)
}

// A provider that is away keeps nobody from signing in by key, and nothing waits for it.
func TestAProviderThatIsAwayIsReportedAndKeysStillWork(t *testing.T) {
	p := newOpenID(t)
	r := newFixture(t, withOpenID(t, p))
	away := func(name string, b *browser, path string) {
		t.Helper()
		status, _, page := b.get(path)
		require.Equal(t, http.StatusServiceUnavailable, status, name)
		require.Contains(t, page, "Keys and tokens work", name)
		require.NotContains(t, b.cookies, "millrace_session", name)
	}
	p.set(func() { p.status = http.StatusBadGateway })
	away("no document", r.newBrowser(), "/admin/login/oidc")
	require.NotEmpty(t, r.signIn(r.key).Value)
	p.set(func() { p.status, p.issuer = 0, "https://elsewhere.example" })
	away("a document of another issuer", r.newBrowser(), "/admin/login/oidc")
	p.set(func() { p.issuer = p.server.URL })
	b := r.newBrowser()
	callback := b.begin(p, "/admin")
	p.set(func() { p.status = http.StatusServiceUnavailable })
	away("no token", b, callback)
	p.set(func() { p.status = 0 })
	status, _, _ := b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusSeeOther, status, "it is back")
	late := r.newBrowser()
	callback = late.begin(p, "/admin")
	p.server.Close()
	away("nobody listens", late, callback)
	require.Contains(t, string(r.admin(http.MethodGet, "/metrics", "").body), `sign_ins_total{status="away"} `)
}
