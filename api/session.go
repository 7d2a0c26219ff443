package api

import (
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/tenants"
)

// The cookies of the console.
const (
	sessionCookie = "millrace_session"
	ticketCookie  = "millrace_ticket"
)

// loginPage handles GET /admin/login.
func (s *Server) loginPage(c echo.Context) error {
	if len(s.admins.all()) == 0 {
		return s.authoriseConsole(c, route{})
	}
	return s.pages.Login(c, http.StatusOK, localPath(c.QueryParam("next")), "")
}

// logIn handles POST /admin/login: an admin's token or a workspace's key begins a session, whose secret only
// the cookie holds.
func (s *Server) logIn(c echo.Context) error {
	if len(s.admins.all()) == 0 {
		return s.authoriseConsole(c, route{})
	}
	if err := s.origins.Check(c.Request()); err != nil {
		return problem(http.StatusForbidden, "Log in from the console's own page.")
	}
	req, form, err := readLogin(c)
	if err != nil {
		return err
	}
	if err := s.take(c, "login", address(c), s.opts.Limits.Login); err != nil {
		if p, _ := asProblem(err); form && p.Status == http.StatusTooManyRequests {
			c.Response().Header().Set("Retry-After", p.retryAfter)
			return s.pages.Login(c, p.Status, localPath(req.Next), "Too many tries. Wait "+p.retryAfter+" seconds.")
		}
		return err
	}
	session, secret, err := s.signIn(c, req.Token)
	if errors.Is(err, store.ErrNotFound) {
		if err := s.noteRefused(c, "POST /admin/login"); err != nil {
			return err
		}
		why := "This is neither an admin token nor a workspace's key."
		if strings.HasPrefix(req.Token, tenants.KeyPrefix) {
			why = whyNoKey(err)
		}
		if form {
			return s.pages.Login(c, http.StatusUnauthorized, localPath(req.Next), why)
		}
		return problem(http.StatusUnauthorized, why, invalid.FieldError{Field: "token", Message: "is wrong"})
	}
	if err != nil {
		return err
	}
	setCookie(c, sessionCookie, secret, "/", http.SameSiteLaxMode, session.Expires)
	if form {
		return c.Redirect(http.StatusSeeOther, localPath(req.Next))
	}
	view := types.Session{ExpiresAt: session.Expires.UTC()}
	if person := session.Person; person != nil {
		view.WorkspaceID, view.Role = person.WorkspaceID.String(), types.Role(person.Role)
	}
	return ok(c, view)
}

// signIn begins the session that a token or key opens, and returns the secret of its cookie. ErrNotFound when
// it opens none.
func (s *Server) signIn(c echo.Context, token string) (tenants.Session, string, error) {
	ctx := c.Request().Context()
	var session tenants.Session
	seal := ""
	if strings.HasPrefix(token, tenants.KeyPrefix) {
		person, err := s.store.Tenants.KeyBySecret(ctx, token)
		if err != nil {
			return session, "", err
		}
		session.Person = &person
	} else {
		holder, err := s.adminByToken(ctx, token)
		if err != nil {
			return session, "", err
		}
		if session.Admin = holder; holder == nil {
			seal = token
		}
	}
	secret := rand.Text()
	session.Digest = sealed(seal, sessionCookie, secret)
	ctx = auditSession(c, "POST /admin/login", visitor{person: session.Person, admin: session.Admin})
	expires, err := s.store.Tenants.BeginSession(ctx, session, s.opts.Session)
	session.Expires = expires
	return session, secret, err
}

func readLogin(c echo.Context) (req types.LoginRequest, form bool, err error) {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return req, false, bodyError(err)
	}
	kind, _, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if kind != echo.MIMEApplicationForm {
		return req, false, decode(body, &req)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return req, true, unreadForm()
	}
	return types.LoginRequest{Token: values.Get("token"), Next: values.Get("next")}, true, nil
}

// logOut handles POST /admin/logout: the session and its tickets end, in whatever state they are.
func (s *Server) logOut(c echo.Context) error {
	if err := s.sameOrigin(c); err != nil {
		return err
	}
	if secret, ok := cookie(c, sessionCookie); ok {
		ctx := c.Request().Context()
		if session, err := s.sessionOf(c); err == nil {
			ctx = auditSession(c, "POST /admin/logout", visitor{person: session.Person, admin: session.Admin})
		}
		if err := s.store.Tenants.EndSession(ctx, s.seals(sessionCookie, secret)); err != nil {
			return err
		}
	}
	setCookie(c, sessionCookie, "", "/", http.SameSiteLaxMode, time.Unix(1, 0))
	setTicket(c, "", time.Unix(1, 0))
	if strings.Contains(c.Request().Header.Get("Accept"), "text/html") {
		return c.Redirect(http.StatusSeeOther, "/admin/login")
	}
	return c.NoContent(http.StatusNoContent)
}

// The streams, which a ticket is sent to, and nothing else.
const (
	streamPath    = "/admin/events/stream"
	ownStreamPath = "/events/stream"
)

// setTicket sets the cookie for each of the streams: a cookie has one path.
func setTicket(c echo.Context, secret string, expires time.Time) {
	for _, path := range []string{streamPath, ownStreamPath} {
		setCookie(c, ticketCookie, secret, path, http.SameSiteStrictMode, expires)
	}
}

// createTicket handles POST /admin/events/ticket: a browser's EventSource cannot send headers, so
// for a while a cookie opens one workspace's stream to it.
func (s *Server) createTicket(c echo.Context) error {
	var req types.TicketRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	workspace := workspaceOf(c) // of a person's session, which names no other: see withoutWorkspace
	if workspace == uuid.Nil {
		named, err := uuid.Parse(req.WorkspaceID)
		if err != nil {
			return fieldProblem("workspace_id", "is required: the id of a workspace", nil)
		}
		if err := agrees(c, named); err != nil {
			return err
		}
		workspace = named
	}
	passed, _ := c.Get(passKey).(pass)
	secret := rand.Text()
	ticket, err := s.store.Tenants.CreateEventTicket(c.Request().Context(), sealed(passed.token, ticketCookie, secret), passed.maker, workspace, s.opts.Ticket)
	if err != nil {
		return err
	}
	setTicket(c, secret, ticket.Expires)
	return writeJSON(c, http.StatusCreated, "application/json", types.Ticket{
		WorkspaceID: workspace.String(), Stream: streamPath + "?workspace_id=" + workspace.String(), ExpiresAt: ticket.Expires.UTC(),
	})
}

// setCookie sets a cookie that scripts cannot read and that leaves this machine over TLS only.
func setCookie(c echo.Context, name, value, path string, site http.SameSite, expires time.Time) {
	c.SetCookie(&http.Cookie{
		Name: name, Value: value, Path: path, Expires: expires, MaxAge: maxAge(expires),
		HttpOnly: true, Secure: !onLoopback(c.Request().Host), SameSite: site,
	})
}

// maxAge is in whole seconds, rounded down; an expiry that has passed deletes the cookie.
func maxAge(expires time.Time) int {
	if left := int(time.Until(expires) / time.Second); left > 0 {
		return left
	}
	return -1
}

func cookie(c echo.Context, name string) (string, bool) {
	found, err := c.Cookie(name)
	if err != nil || found.Value == "" {
		return "", false
	}
	return found.Value, true
}

// onLoopback reports whether the browser reached the server by a name of its own machine, where
// cookies need no TLS.
func onLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// localPath is where to go after the login: a path of this server, and of no other.
func localPath(next string) string {
	to, err := url.Parse(next)
	if err != nil || to.Scheme != "" || to.Host != "" || to.User != nil ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		return "/admin"
	}
	return next
}
