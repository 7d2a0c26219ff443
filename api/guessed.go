package api

import (
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/store"
	"millrace/store/tenants"
)

const callerKey = "caller"

// guessed serves a request to create work as from the caller that its key was last time, without looking the key up: the
// transaction that creates the work looks whether it is so still, and saves a round trip. Only what comes of that is an
// answer, and that the body cannot be read, which also ends the request's context. Whatever else comes of it is forgotten, and the
// request is served once more from its beginning, by a key that is looked up. answered is false then, and where nobody is remembered.
func (s *Server) guessed(c echo.Context, r *route, next echo.HandlerFunc) (answered bool, err error) {
	who, caller, ok := s.remembered(c, r)
	if !ok {
		return false, nil
	}
	request, body := c.Request(), &notedBody{ReadCloser: c.Request().Body}
	request.Body = body
	trying := true
	c.Response().Before(func() {
		if trying && !caller.Known() {
			panic("a caller that is not known is answered")
		}
	})
	defer func() { trying = false }()
	s.called(c, who)
	c.Set(callerKey, caller)
	if err = r.knownQuery(c); err == nil {
		s.audit(c, r)
		if err = textualForm(c); err == nil {
			err = next(c)
		}
	}
	if caller.Known() || body.failed {
		return true, err
	}
	read := c.Request().Body // what was read is there again
	c.Set(callerKey, nil)
	c.Set(principalKey, nil)
	c.Set(passKey, nil)
	again := *request
	again.Body = read
	c.SetRequest(&again)
	return false, nil
}

// notedBody is a body of which is noted that reading it failed.
type notedBody struct {
	io.ReadCloser

	failed bool
}

// Read implements io.Reader.
func (b *notedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.failed = b.failed || err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// remembered is who the request's key was when this process looked it up last, where the request may be served by that: one that
// creates work by one transaction, and under no rate limit, of which it would take a unit.
func (s *Server) remembered(c echo.Context, r *route) (tenants.Principal, *store.Caller, bool) {
	if r.traits&(creates|quick) != creates|quick || r.traits&queries != 0 || r.traits&(uploadLimit|streams) != 0 && !brief(c) {
		return tenants.Principal{}, nil, false
	}
	if _, ok := insiderOf(c.Request()); ok {
		return tenants.Principal{}, nil, false
	}
	secret, ok := bearer(c)
	if !ok {
		return tenants.Principal{}, nil, false
	}
	who, caller, ok := s.store.Tenants.Remembered(secret)
	limited := ownRate(who.Limits.SubmissionsPerMinute, s.opts.Limits.Submissions) != tenants.Rate{}
	if !ok || limited || !who.Role.Includes(r.access.role()) || agrees(c, who.WorkspaceID) != nil {
		return tenants.Principal{}, nil, false
	}
	return who, caller, true
}

// briefBody is the most that a body may have which its handler reads, and not the middleware, for its request to be guessed.
const briefBody = 64 << 10

// brief reports whether a body which may be an upload is not one: it is short, its length is known, and it is not a form.
func brief(c echo.Context) bool {
	length := c.Request().ContentLength
	return 0 <= length && length <= briefBody && !sendsForm(c)
}

// callerOf is who a request that is guessed is from; nil: who that is was looked up.
func callerOf(c echo.Context) *store.Caller {
	caller, _ := c.Get(callerKey).(*store.Caller)
	return caller
}

// bounded bounds the request's body, and how long it may take.
func (s *Server) bounded(c echo.Context, r *route) error {
	if most := r.traits.maxBody(); c.Request().ContentLength > most {
		// The answer must not wait for a body that nobody will read.
		c.Response().Header().Set("Connection", "close")
		return &http.MaxBytesError{Limit: most}
	}
	c.Request().Body = http.MaxBytesReader(c.Response(), s.timed(c, r.traits.maxBody()), r.traits.maxBody())
	return nil
}

// called says whose key the request brings.
func (s *Server) called(c echo.Context, who tenants.Principal) {
	c.Set(principalKey, who)
	c.Set(passKey, pass{holds: &tenants.Credential{Kind: tenants.CredentialKey, ID: string(who.KeyID[:])}})
	inWorkspace(c, who.WorkspaceID)
}
