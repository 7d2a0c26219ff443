package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/jobs/backtest"
	"millrace/store"
)

const principalKey = "principal"

// guarded lets a request through to a route only when its access allows.
func (s *Server) guarded(r route) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if r.traits&creates != 0 {
			next = s.once(next)
		}
		return func(c echo.Context) error {
			c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, r.traits.maxBody())
			switch r.access {
			case public:
				return next(c)
			case admin, ticketed:
				if err := s.authoriseAdmin(c, r); err != nil {
					return orLogin(c, err)
				}
				return next(c)
			}
			if err := s.authorise(c, store.Role(r.access)); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// authorise finds the key's principal and checks its role and workspace.
func (s *Server) authorise(c echo.Context, needed store.Role) error {
	if who, ok := insiderOf(c.Request()); ok {
		c.Set(principalKey, who.principal)
		return nil
	}
	secret, ok := bearer(c)
	if !ok {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="millrace"`)
		return problem(http.StatusUnauthorized, "Send a workspace key: Authorization: Bearer mr_…")
	}
	principal, err := s.store.KeyBySecret(c.Request().Context(), secret)
	if errors.Is(err, store.ErrNotFound) {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="millrace", error="invalid_token"`)
		return problem(http.StatusUnauthorized, "The key is unknown or was revoked.")
	}
	if err != nil {
		return err
	}
	if !principal.Role.Includes(needed) {
		return problem(http.StatusForbidden, "The key's role is "+string(principal.Role)+"; this needs "+string(needed)+".")
	}
	if named := c.Request().Header.Get("X-Workspace-Id"); named != "" && named != principal.WorkspaceID.String() {
		return problem(http.StatusBadRequest, "X-Workspace-Id is not the key's workspace.",
			backtest.FieldError{Field: "X-Workspace-Id", Message: "does not agree with the key"})
	}
	c.Set(principalKey, principal)
	return nil
}

func bearer(c echo.Context) (string, bool) {
	scheme, secret, ok := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	return secret, ok && strings.EqualFold(scheme, "Bearer") && secret != ""
}

// workspaceOf is the workspace that the request's key belongs to.
func workspaceOf(c echo.Context) uuid.UUID {
	principal, _ := c.Get(principalKey).(store.Principal)
	return principal.WorkspaceID
}
