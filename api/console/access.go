package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// Access handles GET /admin/access: the workspaces, and the keys of the one that is chosen.
func (p *Pages) Access(c echo.Context) error { return p.showAccess(c, http.StatusOK, nil, "") }

// showAccess shows a new key's secret once, in the answer to the request that made it.
func (p *Pages) showAccess(c echo.Context, status int, problem *Problem, secret string) error {
	v, err := p.page(c, "Workspaces", "Workspaces and keys")
	if err != nil {
		return err
	}
	data := struct {
		accessDeletions
		Keys   []types.Key
		Chosen types.WorkspaceUsage // the workspace, when there is one, and what it has
		Roles  []string
		Secret string
	}{Roles: slices.DeleteFunc(roles(), func(role string) bool { return !v.May(role) }), Secret: secret}
	if v.Workspace != nil {
		var keys types.List[types.Key]
		req := Request{Method: http.MethodGet, Path: v.keysOf(v.Workspace.ID.String()) + "?limit=200"}
		if err := p.admin(c, v, req, &keys); err != nil {
			return err
		}
		data.Keys = keys.Items
		if err := p.admin(c, v, Request{Method: http.MethodGet, Path: v.workspaceAt(v.Workspace.ID.String())}, &data.Chosen); err != nil {
			return err
		}
	}
	if data.accessDeletions, err = p.deletions(c, v); err != nil {
		return err
	}
	v.Problem, v.Data = problem, data
	return p.render(c, status, "access", v)
}

// workspaceAt is where the API has a workspace: a person's is the person's own.
func (v *view) workspaceAt(workspace string) string {
	if v.Who.Admin {
		return "/admin/workspaces/" + url.PathEscape(workspace)
	}
	return "/workspace"
}

// keysOf is where it has the keys of one.
func (v *view) keysOf(workspace string) string { return v.workspaceAt(workspace) + "/keys" }

// endsSoon reports whether a key that works will end within two weeks.
func endsSoon(key types.Key) bool {
	return key.RevokedAt == nil && key.ExpiresAt != nil && time.Until(*key.ExpiresAt) > 0 && time.Until(*key.ExpiresAt) < 14*24*time.Hour
}

// CreateWorkspace handles POST /admin/access/workspaces.
func (p *Pages) CreateWorkspace(c echo.Context) error {
	body := map[string]any{"name": strings.TrimSpace(c.FormValue("name"))}
	if text := strings.TrimSpace(c.FormValue("tune_cap")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return p.showAccess(c, http.StatusUnprocessableEntity, &Problem{
				Title: "Not created", Errors: []FieldFault{{Field: "tune_cap", Message: strconv.Quote(text) + " is not a whole number"}}}, "")
		}
		body["tune_cap"] = n
	}
	at := func(*view) string { return "/admin/workspaces" }
	return p.change(c, at, http.MethodPost, body, nil)
}

// CreateKey handles POST /admin/access/keys.
func (p *Pages) CreateKey(c echo.Context) error {
	var made struct {
		Secret string `json:"secret"`
	}
	at := func(v *view) string { return v.keysOf(c.FormValue("workspace")) }
	if err := p.change(c, at, http.MethodPost, map[string]any{"name": strings.TrimSpace(c.FormValue("name")), "role": c.FormValue("role")}, &made); err != nil || made.Secret == "" {
		return err
	}
	return p.showAccess(c, http.StatusCreated, nil, made.Secret)
}

// RevokeKey handles POST /admin/access/keys/revoke.
func (p *Pages) RevokeKey(c echo.Context) error {
	at := func(v *view) string {
		return v.keysOf(c.FormValue("workspace")) + "/" + url.PathEscape(c.FormValue("key"))
	}
	return p.change(c, at, http.MethodDelete, nil, nil)
}

// change asks the API, and shows the page again with what it said. With into, a success is left to
// the caller to show.
func (p *Pages) change(c echo.Context, path func(*view) string, method string, body map[string]any, into any) error {
	v, err := p.page(c, "Workspaces", "Workspaces and keys")
	if err != nil {
		return err
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	err = p.admin(c, v, Request{Method: method, Path: path(v), Body: strings.NewReader(string(raw))}, into)
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showAccess(c, problem.Status, problem, "")
	}
	if into != nil {
		return nil
	}
	return c.Redirect(http.StatusSeeOther, "/admin/access")
}
