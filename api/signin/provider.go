package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"millrace/ops/routine"
)

// Options say which provider, and what it opens.
type Options struct {
	Issuer       string // its address; https, or http on this machine
	ClientID     string
	ClientSecret string `json:"-"` // at first, see SetClientSecret; no part of the seal
	RedirectURL  string // of the console's callback, as people's browsers reach it
	Scopes       []string
	Claim        string // of the id token, that grants are held against: a text or a list of texts
	Grants       []Grant

	// Authorities signed the provider's certificate; nil: those that the machine trusts.
	Authorities *x509.CertPool `json:"-"`
}

// CallbackPath is the path of every RedirectURL.
const CallbackPath = "/admin/login/oidc/callback"

// Validate names everything that is wrong, by the setting.
func (o *Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !secure(o.Issuer) {
		fault("OIDC_ISSUER: %q is not an https address (http only on this machine)", o.Issuer)
	}
	if o.ClientID == "" {
		fault("OIDC_CLIENT_ID is not set")
	}
	if to, err := url.Parse(o.RedirectURL); err != nil || !secure(o.RedirectURL) || to.Path != CallbackPath || to.RawQuery != "" {
		fault("OIDC_REDIRECT_URL: %q is not an https address (http only on this machine) with the path %s", o.RedirectURL, CallbackPath)
	}
	if !slices.Contains(o.Scopes, oidc.ScopeOpenID) {
		fault("OIDC_SCOPES: openid is missing")
	}
	if o.Claim == "" {
		fault("OIDC_CLAIM is not set")
	}
	if len(o.Grants) == 0 {
		fault("OIDC_GRANTS is not set: nobody could sign in")
	}
	return errors.Join(faults...)
}

// secure reports whether an address is https, or http on this machine.
func secure(address string) bool {
	to, err := url.Parse(address)
	if err != nil || to.Host == "" || to.User != nil || to.Fragment != "" {
		return false
	}
	ip, err := netip.ParseAddr(to.Hostname())
	return to.Scheme == "https" || to.Scheme == "http" && (to.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// Seal changes with everything that decides who may sign in, so that sessions under another configuration end.
func (o *Options) Seal() string {
	raw, _ := json.Marshal(o) // texts and lists of them: never fails
	sum := sha256.Sum256(raw)
	return "oidc " + string(sum[:])
}

// AwayError is a provider that cannot be used now: it does not answer, answers nonsense, or says that it is another.
type AwayError struct{ Err error }

// Error implements error.
func (e *AwayError) Error() string { return "the sign-in provider cannot be used: " + e.Err.Error() }

// Unwrap implements the interface of errors.Is.
func (e *AwayError) Unwrap() error { return e.Err }

// RefusedError is a person, or an answer of the provider, that is not accepted. Reason is for the person.
type RefusedError struct {
	Reason  string
	Err     error  // for the log; may be nil
	Subject string // of a Person whom the provider signed in and to whom nothing is open; "": not known
}

// Error implements error.
func (e *RefusedError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

// Unwrap implements the interface of errors.Is.
func (e *RefusedError) Unwrap() error { return e.Err }

// Person is who signed in, and what that opens.
type Person struct {
	Subject string // the issuer and its id of the person: names and addresses change hands
	Name    string // for people to read
	Grant   Grant
}

// Provider is the provider that Options name. Its own document and keys are fetched when they are needed.
type Provider struct {
	opts   Options
	client *http.Client

	mu       sync.Mutex
	secret   string // of the client, as it is now
	known    *oidc.Provider
	until    time.Time // when its document is fetched again
	fetching *fetch    // that is under way; nil: none is
}

// fetch is the fetch of the provider's document, for all who wait for it.
type fetch struct {
	done  chan struct{} // closed when the others are set
	found *oidc.Provider
	err   error
}

const (
	providerWithin = 5 * time.Second // one answer of the provider
	documentFor    = time.Hour
	documentAgain  = 30 * time.Second // after a fetch that failed, while there is one of before
	maxAnswer      = 1 << 20          // bytes
	// clockSkew is what the provider's clock and this machine's may differ by where tokens end.
	clockSkew = time.Minute
)

// New makes a provider of options that are valid. It asks nothing yet: a provider that is away must not keep a server
// from starting.
func New(opts Options) *Provider {
	dialer := &net.Dialer{Timeout: providerWithin}
	return &Provider{opts: opts, secret: opts.ClientSecret, client: &http.Client{
		Timeout: providerWithin,
		Transport: bounded{&http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: providerWithin, MaxIdleConns: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: opts.Authorities, MinVersion: tls.VersionTLS12},
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the provider redirects, which is not followed")
		},
	}}
}

// Host is the provider's name for people.
func (p *Provider) Host() string {
	to, err := url.Parse(p.opts.Issuer)
	if err != nil {
		return p.opts.Issuer
	}
	return to.Hostname()
}

// bounded ends an answer that is too long.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// provider is the provider as its own document describes it. All who come while that is fetched wait for the one fetch: a
// provider that is slow is asked once, and each of them waits no longer than for one answer.
func (p *Provider) provider(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	if p.known != nil && time.Now().Before(p.until) {
		defer p.mu.Unlock()
		return p.known, nil
	}
	running := p.fetching
	if running == nil {
		running = &fetch{done: make(chan struct{})}
		p.fetching = running
		// It is for others too, so it does not end with the request that happened to begin it.
		within := oidc.ClientContext(context.WithoutCancel(ctx), p.client)
		routine.Go(func() (err error) {
			running.found, err = p.document(within)
			return err
		}, func(err error) { p.fetched(running, err) })
	}
	p.mu.Unlock()
	select {
	case <-running.done:
		return running.found, running.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetched keeps what a fetch found, for those who wait and those who come.
func (p *Provider) fetched(running *fetch, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.known, p.until = running.found, time.Now().Add(documentFor)
	case p.known != nil && !errors.As(err, new(*oidc.IssuerMismatchError)):
		// What it said before; each use of it says whether it still holds.
		running.found, p.until = p.known, time.Now().Add(documentAgain)
	default:
		p.known, running.found, running.err = nil, nil, &AwayError{err}
	}
	p.fetching = nil
	close(running.done)
}

// document fetches what the provider says of itself. Codes, secrets and keys go over https alone.
func (p *Provider) document(ctx context.Context) (*oidc.Provider, error) {
	found, err := oidc.NewProvider(ctx, p.opts.Issuer)
	if err != nil {
		return nil, err
	}
	var says struct {
		Keys string `json:"jwks_uri"`
	}
	if err := found.Claims(&says); err != nil {
		return nil, fmt.Errorf("its document: %w", err)
	}
	for _, endpoint := range []string{found.Endpoint().AuthURL, found.Endpoint().TokenURL, says.Keys} {
		if !secure(endpoint) {
			return nil, errors.New("its document names an endpoint that is not https")
		}
	}
	return found, nil
}

// SetClientSecret replaces the secret for sign-ins from now on. Sessions continue.
func (p *Provider) SetClientSecret(secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secret = secret
}

func (p *Provider) config(found *oidc.Provider) *oauth2.Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &oauth2.Config{
		ClientID: p.opts.ClientID, ClientSecret: p.secret, Endpoint: found.Endpoint(), RedirectURL: p.opts.RedirectURL, Scopes: p.opts.Scopes,
	}
}

// Attempt is one sign-in: what the provider gives back, what it puts into the id token, and what proves that who
// brings the code is who asked for it.
type Attempt struct{ State, Nonce, Verifier string }

// Begin is where the browser goes to sign in; an *AwayError when the provider cannot be used.
func (p *Provider) Begin(ctx context.Context, a Attempt) (string, error) {
	found, err := p.provider(ctx)
	if err != nil {
		return "", err
	}
	return p.config(found).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Finish exchanges the code that the browser brought for who the person is: an *AwayError when the provider cannot be
// used, a *RefusedError when it, its token or the person is not accepted.
func (p *Provider) Finish(ctx context.Context, a Attempt, code string) (Person, error) {
	found, err := p.provider(ctx)
	if err != nil {
		return Person{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.config(found).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered) && answered.Response.StatusCode < 500 && answered.ErrorCode != "":
		// Its description may repeat what was sent.
		return Person{}, &RefusedError{Reason: "The provider did not accept this sign-in. Begin again.", Err: fmt.Errorf("token endpoint: %d %s", answered.Response.StatusCode, answered.ErrorCode)}
	case errors.As(err, &answered):
		return Person{}, &AwayError{fmt.Errorf("token endpoint: %s", answered.Response.Status)}
	case err != nil:
		return Person{}, &AwayError{err}
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return Person{}, &AwayError{errors.New("the token endpoint gave no id token")}
	}
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.opts.ClientID, Now: func() time.Time { return time.Now().Add(-clockSkew) }}).Verify(ctx, raw)
	if err != nil && strings.Contains(err.Error(), "fetching keys") {
		return Person{}, &AwayError{err}
	}
	if err != nil {
		return Person{}, &RefusedError{Reason: "The provider's answer is not one for this server.", Err: err}
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return Person{}, &RefusedError{Reason: "The provider's answer is for another sign-in. Begin again.", Err: errors.New("the nonce differs")}
	}
	return p.person(id)
}

// person is who an id token is about, and what the grants say.
func (p *Provider) person(id *oidc.IDToken) (Person, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return Person{}, &RefusedError{Reason: "The provider's answer cannot be read.", Err: err}
	}
	if azp, there := claims["azp"]; there && azp != p.opts.ClientID {
		return Person{}, &RefusedError{Reason: "The provider's answer is not one for this server.", Err: errors.New("the token was issued to another client")}
	}
	if id.Subject == "" || len(id.Subject) > 255 || strings.ContainsFunc(id.Subject, unicode.IsControl) {
		return Person{}, &RefusedError{Reason: "The provider does not say who you are.", Err: errors.New("the subject is empty, too long or holds control characters")}
	}
	who := Person{Subject: id.Issuer + " " + id.Subject, Name: id.Subject}
	verified := claims["email_verified"] == true || claims["email_verified"] == "true"
	for _, claim := range []string{"email", "preferred_username", "name"} {
		if text, _ := claims[claim].(string); strings.TrimSpace(text) != "" && (claim != "email" || verified) {
			who.Name = text
			break
		}
	}
	values := texts(claims[p.opts.Claim])
	if p.opts.Claim == "email" && !verified {
		return Person{}, &RefusedError{Reason: "The provider has not verified your address.", Subject: who.Subject}
	}
	grant, ok := granted(p.opts.Grants, values)
	if !ok {
		return Person{}, &RefusedError{Reason: "You are signed in at the provider, but nothing here is open to you. Ask an admin of this server.", Subject: who.Subject}
	}
	who.Grant = grant
	return who, nil
}

// texts are the texts of a claim, which has one or a list.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}
