package console

import (
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

const workspaceCookie = "millrace_workspace"

// chosen is the workspace that the address names, else the one chosen before, else the first.
func chosen(c echo.Context, all []Workspace) *Workspace {
	wanted := []string{c.QueryParam("workspace")}
	if cookie, err := c.Cookie(workspaceCookie); err == nil {
		wanted = append(wanted, cookie.Value)
	}
	for _, name := range wanted {
		for i := range all {
			if name != "" && (all[i].Name == name || all[i].ID.String() == name) {
				return &all[i]
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

// Choose handles POST /admin/workspace: the choice is kept in a cookie. It opens nothing: an admin's
// session sees every workspace, and a person's is not asked.
func (p *Pages) Choose(c echo.Context) error {
	id, err := uuid.Parse(c.FormValue("workspace"))
	if err != nil {
		return p.Error(c, Problem{Status: http.StatusBadRequest, Title: "No such workspace"})
	}
	choose(c, id)
	return c.Redirect(http.StatusSeeOther, section(c.FormValue("next")))
}

func choose(c echo.Context, id uuid.UUID) {
	c.SetCookie(&http.Cookie{
		Name: workspaceCookie, Value: id.String(), Path: "/admin", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// section is the list that a page belongs to: a tune's own page means nothing in another workspace.
func section(next string) string {
	to, err := url.Parse(next)
	if err != nil {
		return "/admin"
	}
	for _, known := range navigation() {
		if known.Href != "/admin" && (to.Path == known.Href || len(to.Path) > len(known.Href) && to.Path[:len(known.Href)+1] == known.Href+"/") {
			return known.Href
		}
	}
	return "/admin"
}

// navItem is one line of the navigation.
type navItem struct {
	Name, Href, Icon, Group string

	Role string // the least that opens it; "": the server's admin
}

func navigation() []navItem {
	return []navItem{
		{"Home", "/admin", "home", "", "viewer"},
		{"Tunes", "/admin/tunes", "tunes", "Research", "viewer"},
		{"Backtests", "/admin/runs", "runs", "Research", "viewer"},
		{"Leaderboard", "/admin/leaderboard", "leaderboard", "Research", "viewer"},
		{"Compare", "/admin/compare", "compare", "Research", "viewer"},
		{"Walk-forward", "/admin/wfo", "wfo", "Research", "viewer"},
		{"Run plans", "/admin/plans", "plans", "Research", "viewer"},
		{"Schedules", "/admin/schedules", "schedules", "Research", "viewer"},
		{"Strategies", "/admin/strategies", "strategies", "Research", "viewer"},
		{"Datasets", "/admin/datasets", "datasets", "Research", "viewer"},
		{"Search", "/admin/search", "search", "Research", "viewer"},
		{"Ask", "/admin/query", "query", "Knowledge", "viewer"},
		{"Ingestion", "/admin/ingestion", "ingestion", "Knowledge", "viewer"},
		{"Coverage", "/admin/coverage", "coverage", "Knowledge", ""},
		{"Events", "/admin/events", "events", "Operations", "viewer"},
		{"Health", "/admin/system/health", "health", "Operations", ""},
		{"Retention", "/admin/retention", "retention", "Operations", ""},
		{"Webhooks", "/admin/webhooks", "webhooks", "Operations", "admin"},
		{"Audit log", "/admin/audit-log", "audit", "Operations", "admin"},
		{"Workspaces", "/admin/access", "workspaces", "Operations", "admin"},
	}
}
