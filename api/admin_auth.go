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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/store"
	"millrace/store/tenants"
)

const passKey = "pass"

// pass is what let a request in.
type pass struct {
	expires time.Time            // zero: never
	maker   tenants.TicketMaker  // what a ticket that is made now ends with
	token   string               // the value of ADMIN_TOKEN that was given, now or at the sign-in; "": none was
	ticket  *tenants.EventTicket // the ticket, when it was one
	holds   *tenants.Credential  // what can end while a stream is open; nil: nothing can
}

// authoriseConsole accepts an admin's token or session, and where the route needs a role of a workspace, the
// session of a person whose key has it. Without a configured token there is no console.
func (s *Server) authoriseConsole(c echo.Context, r route) error {
	if who, ok := insiderOf(c.Request()); ok {
		if !who.admin {
			return forAdmins(who.principal.Role)
		}
		c.Set(passKey, pass{})
		return nil
	}
	if len(s.admins.all()) == 0 {
		return problem(http.StatusNotFound, "The admin surface is off: ADMIN_TOKEN is not set.")
	}
	given := c.Request().Header.Get("X-Admin-Token")
	if given == "" {
		given, _ = bearer(c)
	}
	if given != "" {
		return s.authoriseToken(c, given)
	}
	err := s.bySession(c, r)
	if errors.Is(err, store.ErrNotFound) && r.access == ticketed {
		err = s.byTicket(c)
	}
	if errors.Is(err, store.ErrNotFound) {
		return problem(http.StatusUnauthorized, "Send the admin token (X-Admin-Token or Authorization: Bearer), or log in at /admin/login.")
	}
	if err != nil {
		return err
	}
	return s.sameOrigin(c)
}

// authoriseToken checks a token that came in a header. Only wrong ones count against the limit of logins,
// but an address that is over it is refused without a look at its token: else it could go on guessing.
func (s *Server) authoriseToken(c echo.Context, given string) error {
	from, now := address(c), time.Now()
	if wait := s.guesses.wait(from, now); wait > 0 {
		return overLimit("login", s.opts.Limits.Login, wait)
	}
	holder, err := s.adminByToken(c.Request().Context(), given)
	if err == nil {
		passed := pass{token: given}
		if holder != nil {
			sayEnd(c, holder.Ends)
			passed = pass{
				maker: tenants.TicketMaker{AdminToken: &holder.ID},
				holds: &tenants.Credential{Kind: tenants.CredentialAdminToken, ID: string(holder.ID[:])},
			}
		}
		c.Set(passKey, passed)
		withVisitor(c, visitor{admin: holder})
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
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

// adminByToken finds the admin that a token shows: nil for ADMIN_TOKEN, ErrNotFound for none.
func (s *Server) adminByToken(ctx context.Context, given string) (*tenants.AdminHolder, error) {
	if s.isAdminToken(given) {
		return nil, nil
	}
	if !strings.HasPrefix(given, tenants.AdminTokenPrefix) {
		return nil, store.ErrNotFound
	}
	holder, err := s.store.Tenants.AdminBySecret(ctx, given)
	return &holder, err
}

// bySession accepts the session of an admin, and on a page that needs no more than a role, of a person who
// has it.
func (s *Server) bySession(c echo.Context, r route) error {
	session, err := s.sessionOf(c)
	if err != nil {
		return err
	}
	c.Set(passKey, s.sessionPass(c, session))
	withVisitor(c, visitor{person: session.Person, admin: session.Admin})
	if session.Person == nil {
		return nil
	}
	if r.access == ticketed {
		return s.asPerson(c, *session.Person)
	}
	needed := r.access.role()
	if needed == "" {
		return forAdmins(session.Person.Role)
	}
	if !session.Person.Role.Includes(needed) {
		return problem(http.StatusForbidden, "You are signed in as "+string(session.Person.Role)+"; this needs "+string(needed)+". Sign in with a key of that role.")
	}
	return s.asPerson(c, *session.Person)
}

// asPerson has a request of the console be one of the person's workspace.
func (s *Server) asPerson(c echo.Context, person tenants.Principal) error {
	if err := agrees(c, person.WorkspaceID); err != nil {
		return err
	}
	c.Set(principalKey, person)
	inWorkspace(c, person.WorkspaceID)
	return nil
}

func forAdmins(role tenants.Role) error {
	return problem(http.StatusForbidden, "This is for the server's admins; you are signed in with a workspace's key of role "+string(role)+".")
}

func (s *Server) sessionPass(c echo.Context, session tenants.Session) pass {
	passed := pass{
		expires: session.Expires, maker: tenants.TicketMaker{Session: &session.Digest},
		holds: &tenants.Credential{Kind: tenants.CredentialSession, ID: string(session.Digest[:])},
	}
	secret, _ := cookie(c, sessionCookie)
	for _, token := range s.admins.all() {
		if sealed(token, sessionCookie, secret) == session.Digest {
			passed.token = token
		}
	}
	return passed
}

// sessionOf finds the session of the request's cookie; ErrNotFound without one.
func (s *Server) sessionOf(c echo.Context) (tenants.Session, error) {
	secret, ok := cookie(c, sessionCookie)
	if !ok {
		return tenants.Session{}, store.ErrNotFound
	}
	return s.store.Tenants.SessionOf(c.Request().Context(), s.seals(sessionCookie, secret))
}

func (s *Server) byTicket(c echo.Context) error {
	secret, ok := cookie(c, ticketCookie)
	if !ok {
		return store.ErrNotFound
	}
	ticket, err := s.store.Tenants.EventTicketOf(c.Request().Context(), s.seals(ticketCookie, secret))
	if err != nil {
		return err
	}
	c.Set(passKey, pass{expires: ticket.Expires, ticket: &ticket,
		holds: &tenants.Credential{Kind: tenants.CredentialTicket, ID: string(ticket.Digest[:])}})
	return nil
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

// isAdminToken reports whether a token is a value of ADMIN_TOKEN. It compares in constant time, and equal
// lengths whatever is given.
func (s *Server) isAdminToken(given string) bool {
	got, found := sha256.Sum256([]byte(given)), 0
	for _, token := range s.admins.all() {
		want := sha256.Sum256([]byte(token))
		found |= subtle.ConstantTimeCompare(want[:], got[:])
	}
	return found == 1
}

// sealed is what is stored of a cookie's secret. Of a session that ADMIN_TOKEN began it is keyed by the
// token, so that it ends once the token has left the values, and of one that the OpenID provider began by that
// provider's configuration.
func sealed(token, purpose, secret string) (digest [32]byte) {
	mac := hmac.New(sha256.New, []byte(token))
	_, _ = io.WriteString(mac, purpose+"\x00"+secret) // a hash never fails
	mac.Sum(digest[:0])
	return digest
}

// seals are all that a cookie's secret may be stored as.
func (s *Server) seals(purpose, secret string) [][]byte {
	unkeyed := sealed("", purpose, secret)
	all := [][]byte{unkeyed[:]}
	tokens := s.admins.all()
	if s.opts.OpenID.Seal != "" {
		tokens = append(slices.Clone(tokens), s.opts.OpenID.Seal)
	}
	for _, token := range tokens {
		digest := sealed(token, purpose, secret)
		all = append(all, digest[:])
	}
	return all
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

// expired reports whether the pass has expired.
func (p pass) expired(now time.Time) bool { return !p.expires.IsZero() && !now.Before(p.expires) }

// before is a time, or the earlier one at which the pass expires.
func (p pass) before(at time.Time) time.Time {
	if !p.expires.IsZero() && p.expires.Before(at) {
		return p.expires
	}
	return at
}
