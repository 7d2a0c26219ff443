package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/tenants"
)

func viewAdminToken(t tenants.AdminToken) types.AdminToken {
	return types.AdminToken{
		TokenID: t.ID.String(), Name: t.Name, CreatedAt: t.CreatedAt.UTC(),
		ExpiresAt: utc(t.ExpiresAt), LastUsedAt: utc(t.LastUsedAt), RevokedAt: utc(t.RevokedAt),
	}
}

// createAdminToken handles POST /admin/tokens.
func (s *Server) createAdminToken(c echo.Context) error {
	var req types.AdminTokenRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	var faults []invalid.FieldError
	if !oneLine(req.Name, 100) {
		faults = append(faults, lineFault("name", 100))
	}
	if strings.EqualFold(strings.TrimSpace(req.Name), "ADMIN_TOKEN") {
		faults = append(faults, invalid.FieldError{Field: "name", Message: "is how the audit log names the configured token; choose another"})
	}
	if req.ExpiresAt != nil && !req.ExpiresAt.After(s.store.Clock().Now()) {
		faults = append(faults, invalid.FieldError{Field: "expires_at", Message: "is in the past"})
	}
	if err := fieldProblems(faults); err != nil {
		return err
	}
	resp, err := s.store.Tenants.IssueAdminToken(c.Request().Context(), sub, req.Name, req.ExpiresAt, func(made tenants.AdminToken, secret string) (store.Response, error) {
		return created("", types.NewAdminToken{AdminToken: viewAdminToken(made), Secret: secret})
	})
	return answered(c, resp, err, store.ErrConflict, credentialTaken("token", req.Name))
}

// listAdminTokens handles GET /admin/tokens.
func (s *Server) listAdminTokens(c echo.Context) error {
	place := func(t tenants.AdminToken) (time.Time, uuid.UUID) { return t.CreatedAt, t.ID }
	return newestFirst(c, 200, place, viewAdminToken, s.store.Tenants.AdminTokens)
}

// revokeAdminToken handles DELETE /admin/tokens/:token. It holds from the next request on, and ends the token's
// event streams within two seconds.
func (s *Server) revokeAdminToken(c echo.Context) error {
	id, err := uuid.Parse(c.Param("token"))
	if err != nil {
		return fmt.Errorf("admin token: %w", store.ErrNotFound)
	}
	if err := s.store.Tenants.RevokeAdminToken(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
