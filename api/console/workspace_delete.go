package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// deletedShown is how many of the workspaces that were deleted the page lists.
const deletedShown = 10

// accessDeletions is what the page of workspaces shows of their deletions, to admins, and to an owner of the own one.
type accessDeletions struct {
	Contents *types.WorkspaceDeletion // what the chosen workspace would lose, when that is asked
	Deleted  []types.WorkspaceDeletion
}

// deletions asks the API for it.
func (p *Pages) deletions(c echo.Context, v *view) (found accessDeletions, err error) {
	if !v.May("owner") {
		return found, nil
	}
	if v.Who.Admin {
		var deleted types.List[types.WorkspaceDeletion]
		if err := p.admin(c, v, Request{Method: http.MethodGet, Path: "/admin/workspace-deletions?limit=" + strconv.Itoa(deletedShown)}, &deleted); err != nil {
			return found, err
		}
		found.Deleted = deleted.Items
	}
	if v.Workspace == nil || c.QueryParam("delete") == "" {
		return found, nil
	}
	found.Contents = &types.WorkspaceDeletion{}
	at := v.workspaceAt(v.Workspace.ID.String()) + "?dry_run=true"
	return found, p.admin(c, v, Request{Method: http.MethodDelete, Path: at}, found.Contents)
}

// DeleteWorkspace handles POST /admin/access/workspaces/delete.
func (p *Pages) DeleteWorkspace(c echo.Context) error {
	at := func(v *view) string {
		return v.workspaceAt(c.FormValue("workspace")) + "?confirm=" + url.QueryEscape(c.FormValue("confirm"))
	}
	return p.change(c, at, http.MethodDelete, nil, nil)
}
