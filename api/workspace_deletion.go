package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store/lifecycle"
)

// confirmName is the parameter that says which workspace is meant, in words.
func confirmName() openapi.Param {
	return inQuery("confirm", "the workspace's name; without it nothing is deleted, unless it is a dry run", openapi.Schema{"type": "string"})
}

// deleteWorkspace handles DELETE /admin/workspaces/:id, and DELETE /workspace, of the owner's key.
func (s *Server) deleteWorkspace(c echo.Context) error {
	dry, err := queryBool(c, "dry_run")
	if err != nil {
		return err
	}
	id, err := namedWorkspace(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if dry {
		found, err := s.store.Lifecycle.PreviewWorkspace(ctx, id)
		if err != nil {
			return err
		}
		view := types.WorkspaceDeletion{WorkspaceID: id.String(), Name: found.Name, DryRun: true, ActiveJobs: found.Active}
		for _, kind := range found.Kinds {
			view.Contents = append(view.Contents, types.WorkspaceContent(kind))
			view.TotalRows += kind.Rows
			view.TotalBytes += kind.Bytes
		}
		return ok(c, view)
	}
	made, err := s.store.Lifecycle.DeleteWorkspace(ctx, id, c.QueryParam("confirm"), deleterOf(c))
	var other *lifecycle.NameError
	if errors.As(err, &other) {
		return problem(http.StatusConflict, fmt.Sprintf("Nothing was deleted. The workspace is named %q: send confirm with its name to delete it with all that it has; dry_run=true lists that.", other.Name),
			invalid.FieldError{Field: "confirm", Message: "is not the workspace's name", Limit: other.Name})
	}
	if err != nil {
		return err
	}
	if workspaceOf(c) == uuid.Nil { // the key has ended, and follows nothing
		c.Response().Header().Set("Location", "/admin/workspace-deletions/"+made.ID.String())
	}
	return writeJSON(c, http.StatusAccepted, "application/json", viewWorkspaceDeletion(made))
}

// deleterOf names who deletes a workspace: an admin, or a key of its owner.
func deleterOf(c echo.Context) string {
	actor := actorOf(c)
	if actor.Kind == "key" {
		return "key " + actor.Name
	}
	return actor.Name
}

func viewWorkspaceDeletion(d *lifecycle.WorkspaceDeletion) types.WorkspaceDeletion {
	created := d.CreatedAt.UTC()
	return types.WorkspaceDeletion{
		WorkspaceID: d.ID.String(), Name: d.Name, DeletedBy: d.DeletedBy, Status: types.DeletionStatus(d.Status), RowsDeleted: d.RowsDeleted, Error: d.Error,
		CreatedAt: &created, StartedAt: utc(d.StartedAt), CompletedAt: utc(d.CompletedAt),
	}
}

// listWorkspaceDeletions handles GET /admin/workspace-deletions.
func (s *Server) listWorkspaceDeletions(c echo.Context) error {
	page, err := queryPage(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 50, 1, 200)
	if err != nil {
		return err
	}
	found, err := s.store.Lifecycle.WorkspaceDeletions(c.Request().Context(), page, limit+1)
	if err != nil {
		return err
	}
	all := paged(found, limit, func(d *lifecycle.WorkspaceDeletion) string { return pageCursor(d.CreatedAt, d.ID) })
	views := types.List[types.WorkspaceDeletion]{Items: make([]types.WorkspaceDeletion, len(all.Items)), NextCursor: all.NextCursor}
	for i, d := range all.Items {
		views.Items[i] = viewWorkspaceDeletion(d)
	}
	return ok(c, views)
}

// getWorkspaceDeletion handles GET /admin/workspace-deletions/:id.
func (s *Server) getWorkspaceDeletion(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	found, err := s.store.Lifecycle.WorkspaceDeletion(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return ok(c, viewWorkspaceDeletion(found))
}
