// Package openidtest is an OpenID provider for tests: it listens on loopback, and signs people in without asking.
package openidtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
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
)

// Provider is an OpenID provider on this machine: real endpoints, codes, keys and signed tokens.
type Provider struct {
	URL    string
	Server *httptest.Server
	t      testing.TB

	mu    sync.Mutex
	key   *ecdsa.PrivateKey
	kid   string
	codes map[string]url.Values // what the browser was sent with, by the code that it got

	// Set changes these.
	Signer *ecdsa.PrivateKey // of tokens, where it is not the key that it publishes
	Claims map[string]any    // of the person who signs in, and what a lying provider adds
	Issuer string            // that its document names
	Status int               // of its answers when it is not well
	Secret string            // of the client
}

// Client is the client that the provider knows, and Secret its secret at first.
const (
	Client = "console"
	Secret = "a-secret-of-the-client"
)

// New starts a provider that ends with the test.
func New(t testing.TB) *Provider { return start(t, httptest.NewServer) }

// NewTLS starts one that serves https by a certificate of an authority that nobody trusts, and returns that one's, PEM.
func NewTLS(t testing.TB) (p *Provider, authority []byte) {
	p = start(t, httptest.NewTLSServer)
	return p, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Server.Certificate().Raw})
}

func start(t testing.TB, listen func(http.Handler) *httptest.Server) *Provider {
	p := &Provider{t: t, codes: map[string]url.Values{}, Secret: Secret, Claims: map[string]any{
		"sub": "248289761001", "email": "ada@example.com", "email_verified": true, "groups": []string{"staff", "quants"},
	}}
	p.Rotate("first")
	p.Server = listen(p)
	t.Cleanup(p.Server.Close)
	p.URL, p.Issuer = p.Server.URL, p.Server.URL
	return p
}

// Rotate has it sign with another key, and forget the one before.
func (p *Provider) Rotate(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.kid = key, kid
}

// Set changes what the provider is while it serves.
func (p *Provider) Set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Status != 0 {
		w.WriteHeader(p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": p.Issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
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
		case id != Client || secret != p.Secret:
			w.WriteHeader(http.StatusUnauthorized)
			answer["error"] = "invalid_client"
		case !known || asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			r.FormValue("redirect_uri") != asked.Get("redirect_uri"):
			w.WriteHeader(http.StatusBadRequest)
			answer["error"] = "invalid_grant"
		default:
			claims := map[string]any{"iss": p.Issuer, "aud": Client, "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": asked.Get("nonce")}
			maps.Copy(claims, p.Claims)
			raw, _ := json.Marshal(claims)
			signer := p.key
			if p.Signer != nil {
				signer = p.Signer
			}
			answer = map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": oidctest.SignIDToken(signer, p.kid, "ES256", string(raw))}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// Approve is what the provider gives the browser that was sent to an address, once its person has signed in there.
func (p *Provider) Approve(address string) (code, state string) {
	p.t.Helper()
	to, err := url.Parse(address)
	require.NoError(p.t, err)
	require.True(p.t, strings.HasPrefix(address, p.URL+"/authorize?"), address)
	asked := to.Query()
	require.Equal(p.t, "code", asked.Get("response_type"))
	require.NotEmpty(p.t, asked.Get("nonce"))
	code = rand.Text()
	p.Set(func() { p.codes[code] = asked })
	return code, asked.Get("state")
}
