package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// RiverPath is where River's own pages are mounted.
const RiverPath = "/admin/riverui"

// river handles everything under /admin/riverui. The table lets only GET and HEAD come here, so that
// jobs are looked at and not changed: a tune is cancelled as a tune.
func (s *Server) river(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "+
		"connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	s.opts.River.ServeHTTP(c.Response(), c.Request())
	return nil
}

// riverRoutes are River's pages, when there are any.
func (s *Server) riverRoutes() []route {
	page := about{page: true}
	return []route{
		{http.MethodGet, RiverPath, admin, s.river, bodyLimit, page},
		{http.MethodHead, RiverPath, admin, s.river, bodyLimit, page},
		{http.MethodGet, RiverPath + "/*", admin, s.river, bodyLimit, page},
		{http.MethodHead, RiverPath + "/*", admin, s.river, bodyLimit, page},
	}
}
