package api

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/tenants"
)

const principalKey = "principal"

// guarded lets a request through to a route only when its access allows.
func (s *Server) guarded(r route) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if r.traits&(creates|streams) == creates {
			next = s.once(r, next)
		}
		return func(c echo.Context) error {
			if err := s.bounded(c, &r); err != nil {
				return err
			}
			if answered, err := s.guessed(c, &r, next); answered {
				return err
			}
			if err := s.admit(c, &r); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// admit checks a request against its route: who asks, and how often.
func (s *Server) admit(c echo.Context, r *route) error {
	if r.access.opensStream() {
		c.Set(takenKey, s.admins.taken())
	}
	switch r.access {
	case public:
	case admin, ticketed, pageViewer, pageMember, pageAdmin, pageOwner:
		if err := s.authoriseConsole(c, *r); err != nil {
			return orLogin(c, err)
		}
	default:
		if err := s.authorise(c, r); err != nil {
			return err
		}
		if err := s.metered(c, *r); err != nil {
			return err
		}
	}
	if err := r.knownQuery(c); err != nil {
		return err
	}
	s.audit(c, r)
	return textualForm(c)
}

// authorise finds the key's principal and checks its role and workspace.
func (s *Server) authorise(c echo.Context, r *route) error {
	needed := r.access.role()
	if who, ok := insiderOf(c.Request()); ok {
		if !who.principal.Role.Includes(needed) {
			return problem(http.StatusForbidden, "You are signed in as "+string(who.principal.Role)+"; this needs "+string(needed)+".")
		}
		c.Set(principalKey, who.principal)
		return nil
	}
	secret, ok := bearer(c)
	if !ok && r.access == ownStream {
		if err := s.byCookie(c); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if !ok {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="millrace"`)
		return problem(http.StatusUnauthorized, "Send a workspace key: Authorization: Bearer mr_…")
	}
	principal, err := s.store.Tenants.KeyBySecret(c.Request().Context(), secret)
	if errors.Is(err, store.ErrNotFound) {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="millrace", error="invalid_token"`)
		return problem(http.StatusUnauthorized, whyNoKey(err))
	}
	if err != nil {
		return err
	}
	if !principal.Role.Includes(needed) {
		return problem(http.StatusForbidden, "The key's role is "+string(principal.Role)+"; this needs "+string(needed)+".")
	}
	if err := agrees(c, principal.WorkspaceID); err != nil {
		return err
	}
	sayEnd(c, principal.Ends)
	s.called(c, principal)
	return nil
}

// expiresHeader says when a key or an admin's token ends that will do so within two weeks.
const expiresHeader = "Key-Expires"

func sayEnd(c echo.Context, ends *time.Time) {
	if ends != nil {
		c.Response().Header().Set(expiresHeader, ends.UTC().Format(time.RFC3339))
	}
}

// whyNoKey says why a key opens nothing.
func whyNoKey(err error) string {
	var expired *tenants.KeyExpiredError
	if errors.As(err, &expired) {
		return "This key expired on " + expired.At.UTC().Format(time.DateOnly) + "; create another under Workspaces."
	}
	return "The key is unknown or was revoked."
}

// byCookie opens a workspace's stream to a browser, whose EventSource cannot send a key: by a person's session, or by
// a ticket. ErrNotFound without either.
func (s *Server) byCookie(c echo.Context) error {
	session, err := s.sessionOf(c)
	if err == nil && session.Person == nil {
		err = store.ErrNotFound // of no workspace: an admin takes a ticket
	}
	person := tenants.Principal{Role: tenants.RoleViewer}
	if err == nil {
		person = *session.Person
		c.Set(passKey, s.sessionPass(c, session))
	} else if errors.Is(err, store.ErrNotFound) {
		if err = s.byTicket(c); err == nil {
			passed, _ := c.Get(passKey).(pass)
			person.WorkspaceID = passed.ticket.Workspace
		}
	}
	if err != nil {
		return err
	}
	if err := s.sameOrigin(c); err != nil {
		return err
	}
	return s.asPerson(c, person)
}

// agrees makes sure that wherever the request names a workspace, it names this one.
func agrees(c echo.Context, workspace uuid.UUID) error {
	check := func(field string, named []string) error {
		for _, text := range named {
			if id, err := uuid.Parse(text); err != nil || id != workspace {
				return problem(http.StatusBadRequest, "The request names another workspace.",
					invalid.FieldError{Field: field, Message: "does not agree with the workspace of this request"})
			}
		}
		return nil
	}
	return errors.Join(
		check(workspaceHeader, c.Request().Header.Values(workspaceHeader)),
		check("workspace_id", c.QueryParams()["workspace_id"]))
}

const workspaceHeader = "X-Workspace-Id"

// withoutWorkspace takes the workspace out of a body that names it; it has to be the key's own.
func withoutWorkspace(c echo.Context, body []byte) ([]byte, error) {
	if workspaceOf(c) == uuid.Nil || !bytes.Contains(body, []byte(`"workspace_id"`)) {
		return body, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(body, &members); err != nil {
		return body, nil // the handler that decodes it says what is wrong
	}
	named, ok := members["workspace_id"]
	if !ok {
		return body, nil
	}
	var id uuid.UUID
	if err := json.Unmarshal(named, &id); err != nil || id != workspaceOf(c) {
		return nil, problem(http.StatusBadRequest, "The request names another workspace.",
			invalid.FieldError{Field: "workspace_id", Message: "does not agree with the workspace of this request"})
	}
	delete(members, "workspace_id")
	return json.Marshal(members)
}

// bearer is the secret of the Authorization header. A header of another scheme, as a proxy's Basic, is for
// somebody else and gives none.
func bearer(c echo.Context) (secret string, ok bool) {
	for _, header := range c.Request().Header.Values("Authorization") {
		scheme, secret, _ := strings.Cut(strings.TrimSpace(header), " ")
		if secret = strings.TrimSpace(secret); strings.EqualFold(scheme, "Bearer") && secret != "" {
			return secret, true
		}
	}
	return "", false
}

// principalOf is who the request comes from; of an admin's it is nobody.
func principalOf(c echo.Context) tenants.Principal {
	principal, _ := c.Get(principalKey).(tenants.Principal)
	return principal
}

// workspaceOf is the workspace that the request's key belongs to.
func workspaceOf(c echo.Context) uuid.UUID { return principalOf(c).WorkspaceID }
