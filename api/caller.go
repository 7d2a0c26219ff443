package api

import (
	"bytes"
	"cmp"
	"io"

	"github.com/labstack/echo/v4"

	"millrace/store"
	"millrace/store/tenants"
)

const (
	callerKey = "caller"
	// assumedBody is the most bytes of a body that is kept for a second look at the request.
	assumedBody = 1 << 20
)

// assumed is a caller that is not looked up yet.
type assumed struct {
	*store.Caller // nil: it was
	route         *route
}

// assume takes a request's caller for whom the process knows from a request within the last seconds, and reports whether it
// does. The transaction of the submission has to find the same: what is revoked stores nothing and is answered nothing from
// its very next request on. Where a rate limits submissions, each is looked up, so that no stranger uses the rate up.
func (s *Server) assume(c echo.Context, r *route, secret string) bool {
	if n := c.Request().ContentLength; r.traits&assumes == 0 || n < 0 || n > assumedBody || sendsForm(c) || c.Get(callerKey) != nil {
		return false
	}
	principal, ok := s.known.Of(secret)
	if !ok || !principal.Role.Includes(r.access.role()) || agrees(c, principal.WorkspaceID) != nil ||
		ownRate(principal.Limits.SubmissionsPerMinute, s.opts.Limits.Submissions) != (tenants.Rate{}) {
		return false
	}
	c.Set(callerKey, assumed{principal.Caller(secret), r})
	s.entered(c, principal)
	return true
}

// callerOf is what a submission's transaction has to find of a caller that is assumed; nil: it was looked up.
func callerOf(c echo.Context) *store.Caller {
	asking, _ := c.Get(callerKey).(assumed)
	return asking.Caller
}

// stranger reports whether the caller is assumed and nothing has found it yet.
func stranger(c echo.Context) bool {
	caller := callerOf(c)
	return caller != nil && !caller.Found
}

// certain looks a caller up that is assumed and that no transaction has found.
func (s *Server) certain(c echo.Context) error {
	if !stranger(c) {
		return nil
	}
	asking, _ := c.Get(callerKey).(assumed)
	c.Set(callerKey, assumed{}) // it is not assumed again
	if secret, ok := bearer(c); ok {
		s.known.Forget(secret)
	}
	if err := s.authorise(c, asking.route); err != nil {
		return err
	}
	if err := s.metered(c, *asking.route); err != nil {
		return err
	}
	s.audit(c, asking.route)
	return nil
}

// assured runs a handler whose caller may be assumed, and again once it was looked up, where no transaction has found the
// caller: what the handler refused may be no business of a stranger, or may have changed.
func (s *Server) assured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !stranger(c) {
			return next(c)
		}
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return cmp.Or(s.certain(c), bodyError(err))
		}
		c.Request().Body = io.NopCloser(bytes.NewReader(body))
		if err = next(c); !stranger(c) {
			return err // it was found, or looked up since
		}
		if err := s.certain(c); err != nil {
			return err
		}
		c.Request().Body = io.NopCloser(bytes.NewReader(body))
		return next(c)
	}
}
