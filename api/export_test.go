package api

import (
	"net/http"
	"slices"
)

// Route is a line of the table as tests see it.
type Route struct {
	Method, Path, Access, Sample string
	Creates, Streams, Page       bool
}

// Table is every route of the server, as its router has them. A route that the router has and the
// table has not is of no access at all.
func (s *Server) Table() []Route {
	known := map[string]route{}
	for _, r := range slices.Concat(s.routes(), s.pageRoutes(), s.riverRoutes(), s.docsRoutes()) {
		known[r.method+" "+r.path] = r
	}
	var all []Route
	for _, r := range s.echo.Routes() {
		at := known[r.Method+" "+r.Path]
		all = append(all, Route{
			Method: r.Method, Path: r.Path, Access: string(at.access), Sample: at.about.sample,
			Creates: at.traits&creates != 0, Streams: at.about.media == "text/event-stream" && r.Method == http.MethodGet, Page: at.about.page,
		})
	}
	slices.SortFunc(all, func(a, b Route) int {
		return slices.Compare([]string{a.Path, a.Method}, []string{b.Path, b.Method})
	})
	return all
}
