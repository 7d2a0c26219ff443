package console

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"millrace/api/tearsheet"
)

// TearSheet handles GET /admin/{tunes,wfo,runs}/:id/tearsheet: the API's own page.
func (p *Pages) TearSheet(of string) echo.HandlerFunc {
	return func(c echo.Context) error {
		v, err := p.page(c, "", "Tear sheet")
		if err != nil {
			return err
		}
		if v.Workspace == nil {
			return notFound()
		}
		answer, err := p.call(c, v, Request{Method: http.MethodGet, Path: "/backtests/" + of + "/" + url.PathEscape(c.Param("id")) + "/tearsheet"})
		if err != nil {
			return err
		}
		c.Response().Header().Set("Content-Security-Policy", tearsheet.Policy())
		return c.HTMLBlob(http.StatusOK, answer.Body)
	}
}
