package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/tenants"
)

func viewWorkspace(w tenants.Workspace) types.Workspace {
	return types.Workspace{
		WorkspaceID: w.ID.String(), Name: w.Name, TuneCap: w.TuneCap, Limits: types.Limits(w.Limits), CreatedAt: w.CreatedAt.UTC(),
	}
}

// checkWorkspace holds what is given against its bounds.
func checkWorkspace(r types.WorkspaceRequest) error {
	var faults []invalid.FieldError
	if r.Name != nil && !oneLine(*r.Name, 100) {
		faults = append(faults, lineFault("name", 100))
	}
	bounded := func(field string, value *int, low, high int) {
		if value != nil && (*value < low || *value > high) {
			faults = append(faults, invalid.FieldError{
				Field: field, Message: fmt.Sprintf("must be from %d to %d", low, high), Limit: []int{low, high}})
		}
	}
	bounded("tune_cap", r.TuneCap, 1, 1000)
	bounded("limits.submissions_per_minute", r.Limits.SubmissionsPerMinute, 0, 1_000_000)
	bounded("limits.queries_per_minute", r.Limits.QueriesPerMinute, 0, 1_000_000)
	bounded("limits.queue_depth", r.Limits.QueueDepth, 0, 10_000_000)
	bounded("limits.trials_per_day", r.Limits.TrialsPerDay, 0, 1_000_000_000_000)
	bounded("limits.bytes", r.Limits.Bytes, 0, 1_000_000_000_000_000)
	bounded("limits.datasets", r.Limits.Datasets, 0, 1_000_000_000)
	bounded("limits.documents", r.Limits.Documents, 0, 1_000_000_000)
	return fieldProblems(faults)
}

// oneLine reports whether a text has 1 to most characters that can all be shown on one line.
func oneLine(text string, most int) bool {
	return strings.TrimSpace(text) == text && text != "" && len([]rune(text)) <= most &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func lineFault(field string, most int) invalid.FieldError {
	return invalid.FieldError{Field: field, Message: fmt.Sprintf("must be 1 to %d printable characters on one line", most), Limit: most}
}

// listWorkspaces handles GET /admin/workspaces.
func (s *Server) listWorkspaces(c echo.Context) error {
	place := func(w tenants.Workspace) (time.Time, uuid.UUID) { return w.CreatedAt, w.ID }
	return newestFirst(c, 200, place, viewWorkspace, func(ctx context.Context, page store.Page, limit int) ([]tenants.Workspace, error) {
		return s.findWorkspaces(ctx, c.QueryParam("name"), page, limit)
	})
}

// findWorkspaces reads a page of all workspaces, or the one of the name that the query asks for.
func (s *Server) findWorkspaces(ctx context.Context, name string, page store.Page, limit int) ([]tenants.Workspace, error) {
	if name == "" {
		return s.store.Tenants.WorkspacePage(ctx, page, limit)
	}
	w, err := s.store.Tenants.WorkspaceNamed(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return []tenants.Workspace{w}, err
}

// createWorkspace handles POST /admin/workspaces.
func (s *Server) createWorkspace(c echo.Context) error {
	var req types.WorkspaceRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	if req.Name == nil {
		req.Name = new(string) // which is a fault
	}
	if err := checkWorkspace(req); err != nil {
		return err
	}
	w := tenants.Workspace{Name: *req.Name, TuneCap: 2}
	if req.TuneCap != nil {
		w.TuneCap = *req.TuneCap
	}
	own := func(limit *int) *int {
		if limit != nil && *limit == 0 {
			return nil
		}
		return limit
	}
	quota := func(asked, ofServer *int) *int {
		if asked == nil {
			return ofServer
		}
		return own(asked)
	}
	given := s.opts.Limits.Quotas
	w.Limits = tenants.WorkspaceLimits{
		SubmissionsPerMinute: own(req.Limits.SubmissionsPerMinute),
		QueriesPerMinute:     own(req.Limits.QueriesPerMinute),
		QueueDepth:           own(req.Limits.QueueDepth),
		TrialsPerDay:         quota(req.Limits.TrialsPerDay, given.TrialsPerDay),
		Bytes:                quota(req.Limits.Bytes, given.Bytes),
		Datasets:             quota(req.Limits.Datasets, given.Datasets),
		Documents:            quota(req.Limits.Documents, given.Documents),
	}
	resp, err := s.store.Tenants.AddWorkspace(c.Request().Context(), sub, w, func(made tenants.Workspace) (store.Response, error) {
		return created("/admin/workspaces/"+made.ID.String(), viewWorkspace(made))
	})
	if errors.Is(err, store.ErrConflict) {
		return workspaceTaken(w.Name)
	}
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// workspaceTaken is the answer to a name that another workspace has.
func workspaceTaken(name string) error {
	return problem(http.StatusConflict, fmt.Sprintf("A workspace named %q exists already.", name))
}

// getWorkspace handles GET /admin/workspaces/:id.
func (s *Server) getWorkspace(c echo.Context) error {
	id, err := namedWorkspace(c)
	if err != nil {
		return err
	}
	view, err := s.workspaceUsage(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return ok(c, view)
}

// changeWorkspace handles PATCH /admin/workspaces/:id.
func (s *Server) changeWorkspace(c echo.Context) error {
	id, err := namedWorkspace(c)
	if err != nil {
		return err
	}
	var req types.WorkspaceRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	if err := checkWorkspace(req); err != nil {
		return err
	}
	w, err := s.store.Tenants.ChangeWorkspace(c.Request().Context(), id, tenants.WorkspaceChange{
		Name: req.Name, TuneCap: req.TuneCap, Limits: tenants.WorkspaceLimits(req.Limits),
	})
	if errors.Is(err, store.ErrConflict) && req.Name != nil {
		return workspaceTaken(*req.Name)
	}
	if err != nil {
		return err
	}
	return ok(c, viewWorkspace(w))
}

// getOwnWorkspace handles GET /workspace.
func (s *Server) getOwnWorkspace(c echo.Context) error {
	view, err := s.workspaceUsage(c.Request().Context(), workspaceOf(c))
	if err != nil {
		return err
	}
	return ok(c, types.OwnWorkspace{WorkspaceUsage: view, Role: types.Role(principalOf(c).Role)})
}

// workspaceUsage reads a workspace and what it has.
func (s *Server) workspaceUsage(ctx context.Context, id uuid.UUID) (view types.WorkspaceUsage, err error) {
	w, err := s.store.Tenants.Workspace(ctx, id)
	if err != nil {
		return view, err
	}
	has, err := s.store.UsageOf(ctx, id)
	return types.WorkspaceUsage{Workspace: viewWorkspace(w), Usage: types.Usage(has)}, err
}

// namedWorkspace is the workspace that a request is about: the key's, or the one in an admin's path.
func namedWorkspace(c echo.Context) (uuid.UUID, error) {
	if own := workspaceOf(c); own != uuid.Nil {
		return own, nil
	}
	id, err := pathID(c)
	if err != nil {
		return id, err
	}
	return id, agrees(c, id)
}
