package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/jobs/invalid"
)

// parameters are the names that the query of a request to the route may have.
func (r *route) parameters() []string {
	var names []string
	for _, p := range r.about.params {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	if r.about.tables {
		names = append(names, "format")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// namesWorkspace reports whether a query may name the workspace besides, which has to be the one that the route is of.
func (r *route) namesWorkspace() bool {
	return r.access.role() != "" || strings.HasPrefix(r.path, "/admin/workspaces/:id")
}

// knownQuery refuses a query with a name that the route does not have: misspelt, a filter would be no filter, and
// its caller would take the answer for another. Pages for people are
// not so strict, nor is what probes and scrapers ask.
func (r *route) knownQuery(c echo.Context) error {
	if r.about.page || r.access == public || r.path == "/metrics" || c.Request().URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: "query", Message: "cannot be read: separate parameters by & and escape their values"})
	}
	known := r.parameters()
	var faults []invalid.FieldError
	for name := range query {
		if slices.Contains(known, name) || name == "workspace_id" && r.namesWorkspace() {
			continue
		}
		message := "is not a parameter of this request, which takes none"
		if len(known) > 0 {
			message = "is not a parameter of this request, which takes " + strings.Join(known, ", ")
		}
		faults = append(faults, invalid.FieldError{Field: name, Message: message, Limit: known})
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b invalid.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return problem(http.StatusBadRequest, "The query is not valid.", faults...)
}
