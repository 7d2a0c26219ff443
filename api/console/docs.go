package console

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// DocOperation is one route as the document's page shows it.
type DocOperation struct {
	ID, Method, Path, Summary, Access, Sample string
	Status                                    int
	Params                                    []DocParam
	Body, Answer                              string // schemas, as JSON; "" for none
}

// DocParam is a parameter of a route.
type DocParam struct {
	Name, In, Doc, Schema string
	Required              bool
}

// DocGroup is a part of the API.
type DocGroup struct {
	Tag        string
	Operations []DocOperation
}

// Document shows the API's document to people. It needs no session and no database.
func (p *Pages) Document(c echo.Context, groups []DocGroup) error {
	v := &view{Title: "API", Bare: true, Class: "docs", Version: p.opts.Version, Data: groups}
	return p.render(c, http.StatusOK, "docs", v)
}
