package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"millrace/api/signin"
	"millrace/store"
	"millrace/store/tenants"
)

// OpenIDOptions have people sign in to the console through an OpenID provider.
type OpenIDOptions struct {
	Provider *signin.Provider // nil: there is none
	Seal     string           // changes with the configuration: see signin.Options
	Issuer   string
	Session  time.Duration // how long a sign-in lasts before the provider is asked again; default 1 h
}

// host names the provider for people; "" without one.
func (o OpenIDOptions) host() string {
	if o.Provider == nil {
		return ""
	}
	return o.Provider.Host()
}

// The cookie that binds a sign-in at the provider to the browser that began it, and how long that may take.
const (
	signInCookie = "millrace_sign_in"
	signInPath   = "/admin/login/oidc"
	signInLasts  = 10 * time.Minute
)

// attempt is a sign-in at the provider: all that is secret of it comes of what the browser keeps, so that neither the
// database nor the address that the browser is sent to opens anything.
func attempt(binder, state string) (a signin.Attempt, digest [32]byte) {
	derived := func(purpose string) []byte {
		mac := hmac.New(sha256.New, []byte(binder))
		_, _ = mac.Write([]byte(purpose + "\x00" + state)) // a hash never fails
		return mac.Sum(nil)
	}
	text := base64.RawURLEncoding
	return signin.Attempt{State: state, Nonce: text.EncodeToString(derived("nonce")), Verifier: text.EncodeToString(derived("verifier"))}, [32]byte(derived("place"))
}

// beginOpenID handles GET /admin/login/oidc: it sends the browser to the provider.
func (s *Server) beginOpenID(c echo.Context) error {
	if err := s.openIDThere(); err != nil {
		return err
	}
	next := localPath(c.QueryParam("next"))
	if len(next) > 2000 {
		next = "/admin"
	}
	if err := s.take(c, "login", address(c), s.opts.Limits.Login); err != nil {
		p, _ := asProblem(err)
		if p.Status != http.StatusTooManyRequests {
			return err
		}
		c.Response().Header().Set("Retry-After", p.retryAfter)
		return s.pages.Login(c, p.Status, next, "Too many tries. Wait "+p.retryAfter+" seconds.")
	}
	binder, state := rand.Text(), rand.Text()
	a, digest := attempt(binder, state)
	ctx := c.Request().Context()
	to, err := s.opts.OpenID.Provider.Begin(ctx, a)
	if err != nil {
		return s.signInFailed(c, next, err)
	}
	if err := s.store.Tenants.BeginSignIn(ctx, digest, next, signInLasts); err != nil {
		return err
	}
	// The provider sends the browser back from another site, so a strict cookie would not come along.
	setCookie(c, signInCookie, binder, signInPath, http.SameSiteLaxMode, time.Now().Add(signInLasts))
	return c.Redirect(http.StatusSeeOther, to)
}

// finishOpenID handles GET /admin/login/oidc/callback, to which the provider sends the browser.
func (s *Server) finishOpenID(c echo.Context) error {
	if err := s.openIDThere(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	binder, began := cookie(c, signInCookie)
	a, digest := attempt(binder, c.QueryParam("state"))
	setCookie(c, signInCookie, "", signInPath, http.SameSiteLaxMode, time.Unix(1, 0))
	next, err := "/admin", error(store.ErrNotFound)
	if began {
		next, err = s.store.Tenants.TakeSignIn(ctx, digest)
	}
	if errors.Is(err, store.ErrNotFound) {
		return s.pages.Login(c, http.StatusBadRequest, "/admin", "This sign-in was used already, took longer than ten minutes, or was begun elsewhere. Begin again.")
	}
	if err != nil {
		return err
	}
	if issuer := c.QueryParam("iss"); issuer != "" && issuer != s.opts.OpenID.Issuer {
		return s.signInFailed(c, next, &signin.RefusedError{Reason: "The answer is another provider's.", Err: errors.New("the parameter iss differs")})
	}
	if c.QueryParam("error") != "" || c.QueryParam("code") == "" {
		return s.signInFailed(c, next, &signin.RefusedError{Reason: "The provider did not sign you in.", Err: errors.New("it answered " + word(c.QueryParam("error")))})
	}
	who, err := s.opts.OpenID.Provider.Finish(ctx, a, c.QueryParam("code"))
	if err != nil {
		return s.signInFailed(c, next, err)
	}
	return s.admitPerson(c, who, next)
}

// admitPerson begins the session of a person whom the provider signed in.
func (s *Server) admitPerson(c echo.Context, who signin.Person, next string) error {
	ctx := c.Request().Context()
	session, err := s.store.Tenants.AdmitPerson(ctx, tenants.SignedIn{
		Subject: who.Subject, Name: shownName(who.Name), Admin: who.Grant.Admin, Workspace: who.Grant.Workspace, Role: who.Grant.Role,
	}, s.opts.OpenID.Session)
	if errors.Is(err, store.ErrNotFound) {
		return s.signInFailed(c, next, &signin.RefusedError{Reason: "The workspace that would be open to you is not there. Ask an admin of this server.", Err: err, Subject: who.Subject})
	}
	if err != nil {
		return err
	}
	secret := rand.Text()
	session.Digest = sealed(s.opts.OpenID.Seal, sessionCookie, secret)
	ctx = auditSession(c, "GET "+signin.CallbackPath, visitor{person: session.Person, admin: session.Admin})
	expires, err := s.store.Tenants.BeginSession(ctx, session, s.opts.OpenID.Session)
	if err != nil {
		return err
	}
	s.opts.Metrics.SignIns.WithLabelValues("ok").Inc()
	setCookie(c, sessionCookie, secret, "/", http.SameSiteLaxMode, expires)
	return c.Redirect(http.StatusSeeOther, next)
}

// signInFailed shows the login page with why, and leaves an entry of what was refused; a person to whom nothing is open
// any more loses what was. A provider that is away is
// neither the person's fault nor a failure of this server.
func (s *Server) signInFailed(c echo.Context, next string, err error) error {
	var refused *signin.RefusedError
	var away *signin.AwayError
	switch {
	case errors.As(err, &refused):
		s.opts.Metrics.SignIns.WithLabelValues("refused").Inc()
		s.opts.Logger.InfoContext(c.Request().Context(), "sign-in refused", "reason", err)
		if err := s.noteRefused(c, "GET "+signin.CallbackPath); err != nil {
			return err
		}
		if refused.Subject != "" {
			if err := s.store.Tenants.DismissPerson(c.Request().Context(), refused.Subject); err != nil {
				return err
			}
		}
		return s.pages.Login(c, http.StatusForbidden, next, refused.Reason)
	case errors.As(err, &away) && !clientGone(c):
		s.opts.Metrics.SignIns.WithLabelValues("away").Inc()
		s.opts.Logger.WarnContext(c.Request().Context(), "the sign-in provider cannot be used", "error", err)
		return s.pages.Login(c, http.StatusServiceUnavailable, next, "The sign-in provider cannot be used at the moment. Keys and tokens work.")
	}
	return err
}

// openIDThere is a 404 without a provider, or without a console.
func (s *Server) openIDThere() error {
	if s.opts.OpenID.Provider == nil || len(s.admins.all()) == 0 {
		return problem(http.StatusNotFound, "Nobody signs in here through a provider: OIDC_ISSUER is not set.")
	}
	return nil
}

// word is a provider's code of an error, as far as it is one.
func word(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r < unicode.MaxASCII && unicode.IsLetter(r) {
			return r
		}
		return -1
	}, text[:min(len(text), 50)])
}

// shownName is a provider's name of a person on one line.
func shownName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
	if runes := []rune(name); len(runes) > 100 {
		name = strings.TrimSpace(string(runes[:100]))
	}
	if name == "" {
		name = "somebody"
	}
	return name
}
