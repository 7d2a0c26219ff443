package api

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// Route is a line of the table as tests see it.
type Route struct {
	Method, Path, Access, Sample    string
	Role                            string // the least of a person's that opens the page
	Creates, Streams, Page, Audited bool
	Params, Fields, Form            []string // of the query, the JSON body and the form
	Parameters                      []string // that a query may have
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
		at, ok := known[r.Method+" "+r.Path]
		if get := known["GET "+r.Path]; !ok && r.Method == http.MethodHead && get.about.tables {
			at = get // readers of Parquet ask for the length first
		}
		line := Route{
			Method: r.Method, Path: r.Path, Access: string(at.access), Sample: at.about.sample,
			Role:    string(at.access.role()),
			Creates: at.traits&creates != 0, Streams: at.about.media == eventStream && r.Method == http.MethodGet, Page: at.about.page,
			Audited: at.method != "" && at.audited(), Parameters: at.parameters(),
		}
		for _, p := range at.about.params {
			line.Params = append(line.Params, p.Name)
		}
		if at.access == ownStream { // a key opens it as any route for its role
			line.Access = line.Role
		}
		if body := reflect.TypeOf(at.about.body); body != nil && body.Kind() == reflect.Struct {
			for _, field := range reflect.VisibleFields(body) {
				if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
					line.Fields = append(line.Fields, name)
				}
			}
		}
		for _, part := range at.about.form {
			line.Form = append(line.Form, part.Name)
		}
		all = append(all, line)
	}
	slices.SortFunc(all, func(a, b Route) int {
		return slices.Compare([]string{a.Path, a.Method}, []string{b.Path, b.Method})
	})
	return all
}
