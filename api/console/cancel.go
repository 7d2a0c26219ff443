package console

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// CancelTune handles POST /admin/tunes/:id/cancel.
func (p *Pages) CancelTune(c echo.Context) error {
	return p.cancel(c, "/backtests/tunes/", "/admin/tunes/")
}

func (p *Pages) cancel(c echo.Context, resource, back string) error {
	v, err := p.page(c, "", "")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	id := url.PathEscape(c.Param("id"))
	if _, err := p.post(c, v, resource+id+"/cancel", "", nil); err != nil {
		if problem, _ := refused(err); problem == nil || problem.Status != http.StatusConflict { // it ended meanwhile: the page shows how
			return err
		}
	}
	return c.Redirect(http.StatusSeeOther, back+id)
}
