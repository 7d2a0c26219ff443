package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/store"
	"millrace/store/tenants"
)

const passKey = "pass"

// pass is what let an admin request in.
type pass struct {
	expires time.Time            // zero: never
	session *[32]byte            // the digest of the console's session, when it was one
	ticket  *tenants.EventTicket // the ticket, when it was one
	// again checks that the request would still be authorised; nil when nothing can change.
	again func(context.Context) error
}

// authoriseAdmin accepts the admin token, or a session's cookie. Without a configured
// token there is no admin surface to speak of.
func (s *Server) authoriseAdmin(c echo.Context, r route) error {
	if who, ok := insiderOf(c.Request()); ok && who.admin {
		c.Set(passKey, pass{})
		return nil
	}
	if s.opts.AdminToken == "" {
		return problem(http.StatusNotFound, "The admin surface is off: ADMIN_TOKEN is not set.")
	}
	given := c.Request().Header.Get("X-Admin-Token")
	if given == "" {
		given, _ = bearer(c)
	}
	if given != "" {
		return s.authoriseToken(c, given)
	}
	passed, err := s.bySession(c)
	if errors.Is(err, store.ErrNotFound) && r.access == ticketed {
		passed, err = s.byTicket(c)
	}
	if errors.Is(err, store.ErrNotFound) {
		return problem(http.StatusUnauthorized, "Send the admin token (X-Admin-Token or Authorization: Bearer), or log in at /admin/login.")
	}
	if err != nil {
		return err
	}
	c.Set(passKey, passed)
	return s.sameOrigin(c)
}

// authoriseToken checks a token that came in a header. Only wrong ones count against the limit of logins,
// but an address that is over it is refused without a look at its token: else it could go on guessing.
func (s *Server) authoriseToken(c echo.Context, given string) error {
	from, now := address(c), time.Now()
	if wait := s.guesses.wait(from, now); wait > 0 {
		return overLimit("login", s.opts.Limits.Login, wait)
	}
	if s.isAdminToken(given) {
		c.Set(passKey, pass{})
		return nil
	}
	if err := s.take(c, "login", from, s.opts.Limits.Login); err != nil {
		if p, _ := asProblem(err); p.Status == http.StatusTooManyRequests {
			seconds, _ := strconv.Atoi(p.retryAfter)
			s.guesses.note(from, now, time.Duration(seconds)*time.Second)
		}
		return err
	}
	return problem(http.StatusUnauthorized, "This is not the admin token.")
}

func (s *Server) bySession(c echo.Context) (pass, error) {
	secret, ok := cookie(c, sessionCookie)
	if !ok {
		return pass{}, store.ErrNotFound
	}
	digest := s.sealed(sessionCookie, secret)
	expires, err := s.store.Tenants.AdminSession(c.Request().Context(), digest)
	return pass{expires: expires, session: &digest, again: func(ctx context.Context) error {
		_, err := s.store.Tenants.AdminSession(ctx, digest)
		return err
	}}, err
}

func (s *Server) byTicket(c echo.Context) (pass, error) {
	secret, ok := cookie(c, ticketCookie)
	if !ok {
		return pass{}, store.ErrNotFound
	}
	digest := s.sealed(ticketCookie, secret)
	ticket, err := s.store.Tenants.EventTicket(c.Request().Context(), digest)
	return pass{expires: ticket.Expires, ticket: &ticket, again: func(ctx context.Context) error {
		_, err := s.store.Tenants.EventTicket(ctx, digest)
		return err
	}}, err
}

// sameOrigin refuses what another site made the browser send with the console's cookies. A browser
// always says where an unsafe request comes from, so one that does not say is refused too.
func (s *Server) sameOrigin(c echo.Context) error {
	req := c.Request()
	safe := req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions
	silent := req.Header.Get("Origin") == "" && req.Header.Get("Sec-Fetch-Site") == ""
	if err := s.origins.Check(req); err != nil || !safe && silent {
		return problem(http.StatusForbidden, "With a cookie this request is only taken from the console's own pages. Scripts send the admin token.")
	}
	return nil
}

// isAdminToken compares in constant time, and equal lengths whatever is given.
func (s *Server) isAdminToken(given string) bool {
	want, got := sha256.Sum256([]byte(s.opts.AdminToken)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// sealed is what is stored of a cookie's secret. It is keyed by the admin token, so that another
// token ends every session and ticket.
func (s *Server) sealed(purpose, secret string) (digest [32]byte) {
	mac := hmac.New(sha256.New, []byte(s.opts.AdminToken))
	_, _ = io.WriteString(mac, purpose+"\x00"+secret) // a hash never fails
	mac.Sum(digest[:0])
	return digest
}

// orLogin sends a browser that may not see a page to the login, and gives everyone else the error.
func orLogin(c echo.Context, err error) error {
	if p, _ := asProblem(err); p.Status != http.StatusUnauthorized || !wantsHTML(c) {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/login?next="+url.QueryEscape(c.Request().URL.RequestURI()))
}

func wantsHTML(c echo.Context) bool {
	return c.Request().Method == http.MethodGet && strings.Contains(c.Request().Header.Get("Accept"), "text/html")
}

// expired has a value once the pass has expired. The caller stops it.
func (p pass) expired() (<-chan time.Time, func()) {
	if p.expires.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(p.expires))
	return timer.C, func() { timer.Stop() }
}

// over reports whether the pass has been ended since it let the request in. A database that is away
// for a moment ends nothing.
func (p pass) over(ctx context.Context) bool {
	return p.again != nil && errors.Is(p.again(ctx), store.ErrNotFound)
}
