package console

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// plan is a run plan of the API with what its pages ask of it.
type plan struct{ types.RunPlan }

// Ended reports whether nothing more happens to it.
func (p plan) Ended() bool { return p.CompletedAt != nil }

// Plans handles GET /admin/plans.
func (p *Pages) Plans(c echo.Context) error {
	v, err := p.page(c, "Run plans", "Run plans")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "plans", err)
	}
	v.Topics = "backtests"
	query := pageQuery(c, "archived", "cursor")
	var found types.List[plan]
	if err := p.get(c, v, "/run-plans", query, &found); err != nil {
		return err
	}
	v.Data = struct {
		Plans             []plan
		Selects, Archived bool
		Pager             pager
	}{found.Items, c.QueryParam("select") != "", query.Get("archived") != "", newPager(c, query, found.NextCursor)}
	return p.render(c, http.StatusOK, "plans", v)
}

// Plan handles GET /admin/plans/:id.
func (p *Pages) Plan(c echo.Context) error {
	v, err := p.page(c, "Run plans", "Run plan")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	var found plan
	if err := p.get(c, v, "/run-plans/"+url.PathEscape(c.Param("id")), nil, &found); err != nil {
		return err
	}
	v.Title, v.Topics, v.Data = found.Name, "backtests", found
	return p.render(c, http.StatusOK, "plan", v)
}
