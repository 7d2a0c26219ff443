package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/tenants"
)

func viewKey(k tenants.Key) types.Key {
	return types.Key{
		KeyID: k.ID.String(), WorkspaceID: k.WorkspaceID.String(), Name: k.Name, Role: types.Role(k.Role), CreatedAt: k.CreatedAt.UTC(),
		ExpiresAt: utc(k.ExpiresAt), LastUsedAt: utc(k.LastUsedAt), RevokedAt: utc(k.RevokedAt),
	}
}

func checkKey(r types.KeyRequest, now time.Time) error {
	var faults []invalid.FieldError
	if !oneLine(r.Name, 100) {
		faults = append(faults, lineFault("name", 100))
	}
	if !slices.Contains(tenants.Roles(), tenants.Role(r.Role)) {
		faults = append(faults, invalid.FieldError{Field: "role", Message: fmt.Sprintf("%q is not a role", r.Role), Limit: tenants.Roles()})
	}
	if r.ExpiresAt != nil && !r.ExpiresAt.After(now) {
		faults = append(faults, invalid.FieldError{Field: "expires_at", Message: "is in the past"})
	}
	return fieldProblems(faults)
}

// mayKeep refuses to let a key make or revoke one that may do more than itself.
func mayKeep(c echo.Context, role tenants.Role) error {
	if who := principalOf(c); who.WorkspaceID != uuid.Nil && !who.Role.Includes(role) {
		return problem(http.StatusForbidden, "The key's role is "+string(who.Role)+"; it cannot make or revoke keys of role "+string(role)+".")
	}
	return nil
}

// credentialTaken is the answer to a name that another credential has, which works: who did what could not be known
// by their names.
func credentialTaken(what, name string) error {
	return problem(http.StatusConflict, fmt.Sprintf("A %s named %q works already. Revoke it first, or choose another name: to replace it without a gap, make the next one as %q and revoke it afterwards.",
		what, name, name+"-2"))
}

// createKey handles POST /workspace/keys and /admin/workspaces/:id/keys.
func (s *Server) createKey(c echo.Context) error {
	workspace, err := namedWorkspace(c)
	if err != nil {
		return err
	}
	var req types.KeyRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	if err := checkKey(req, s.store.Clock().Now()); err != nil {
		return err
	}
	if err := mayKeep(c, tenants.Role(req.Role)); err != nil {
		return err
	}
	resp, err := s.store.Tenants.IssueKey(c.Request().Context(), sub, tenants.Key{
		WorkspaceID: workspace, Name: req.Name, Role: tenants.Role(req.Role), ExpiresAt: req.ExpiresAt,
	}, func(made tenants.Key, secret string) (store.Response, error) {
		return created("", types.NewKey{Key: viewKey(made), Secret: secret})
	})
	return answered(c, resp, err, store.ErrConflict, credentialTaken("key", req.Name))
}

// listKeys handles GET /workspace/keys and /admin/workspaces/:id/keys.
func (s *Server) listKeys(c echo.Context) error {
	workspace, err := namedWorkspace(c)
	if err != nil {
		return err
	}
	place := func(k tenants.Key) (time.Time, uuid.UUID) { return k.CreatedAt, k.ID }
	return newestFirst(c, 200, place, viewKey, func(ctx context.Context, page store.Page, limit int) ([]tenants.Key, error) {
		if _, err := s.store.Tenants.Workspace(ctx, workspace); err != nil {
			return nil, err
		}
		return s.store.Tenants.Keys(ctx, workspace, page, limit)
	})
}

// revokeKey handles DELETE /workspace/keys/:key and /admin/workspaces/:id/keys/:key. It holds from
// the next request on, and ends the key's event streams at their next heartbeat.
func (s *Server) revokeKey(c echo.Context) error {
	workspace, err := namedWorkspace(c)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(c.Param("key"))
	if err != nil {
		return fmt.Errorf("key: %w", store.ErrNotFound)
	}
	ctx := c.Request().Context()
	key, err := s.store.Tenants.Key(ctx, workspace, id)
	if err != nil {
		return err
	}
	if err := mayKeep(c, key.Role); err != nil {
		return err
	}
	if err := s.store.Tenants.RevokeKey(ctx, workspace, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
