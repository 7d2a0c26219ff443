package console

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// Audit handles GET /admin/audit-log: who changed what in the workspace, or for an admin what belongs to none.
func (p *Pages) Audit(c echo.Context) error {
	v, err := p.page(c, "Audit log", "Audit log")
	if err != nil {
		return err
	}
	server := v.Who.Admin && (c.QueryParam("of") == "server" || v.Workspace == nil)
	query := pageQuery(c, "cursor", "of")
	call := Request{Method: http.MethodGet, Path: "/audit?" + withLimit(query)}
	if v.Who.Admin {
		asked := url.Values{"cursor": query["cursor"]}
		if !server {
			asked.Set("workspace_id", v.Workspace.ID.String())
		}
		call.Path = "/admin/audit?" + withLimit(asked)
	}
	var found types.List[types.AuditEntry]
	if err := p.admin(c, v, call, &found); err != nil {
		return err
	}
	v.Data = struct {
		Server  bool
		Entries []types.AuditEntry
		Pager   pager
	}{server, found.Items, newPager(c, query, found.NextCursor)}
	return p.render(c, http.StatusOK, "audit", v)
}

// withLimit is a query for one page of the audit log.
func withLimit(query url.Values) string {
	asked := url.Values{"limit": {"100"}}
	for _, name := range []string{"cursor", "workspace_id"} {
		if value := query.Get(name); value != "" {
			asked.Set(name, value)
		}
	}
	return asked.Encode()
}
