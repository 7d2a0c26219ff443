package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

// Problem is an error of the API (RFC 9457) as a page shows it.
type Problem struct {
	Title    string       `json:"title"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Instance string       `json:"instance"`
	Errors   []FieldFault `json:"errors"`
}

// FieldFault is what is wrong with one field.
type FieldFault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	// Of a script: where the fault is, its code and what to change.
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Code   string `json:"code"`
	Advice string `json:"advice"`
}

// Error implements error.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail) }

// call asks the API on behalf of the browser, in the page's workspace.
func (p *Pages) call(c echo.Context, v *view, req Request) (Answer, error) {
	if v.Workspace != nil {
		req.Workspace = v.Workspace.ID
	}
	req.OnBehalfOf = c.Request()
	answer := p.opts.API.Call(c.Request().Context(), req)
	if answer.Status < 400 {
		return answer, nil
	}
	problem := &Problem{}
	if err := json.Unmarshal(answer.Body, problem); err != nil || problem.Status == 0 {
		*problem = Problem{Title: http.StatusText(answer.Status), Status: answer.Status}
	}
	return answer, problem
}

// get reads a resource of the API.
func (p *Pages) get(c echo.Context, v *view, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	answer, err := p.call(c, v, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	return answer.into(into)
}

// into decodes the answer.
func (a Answer) into(value any) error {
	if err := json.Unmarshal(a.Body, value); err != nil {
		return fmt.Errorf("decode the API's answer: %w", err)
	}
	return nil
}

// post sends JSON to the API.
func (p *Pages) post(c echo.Context, v *view, path, key string, body any) (Answer, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return Answer{}, fmt.Errorf("encode %s: %w", path, err)
		}
	}
	return p.call(c, v, Request{Method: http.MethodPost, Path: path, Key: key, Body: bytes.NewReader(raw)})
}

// forward sends the browser's body to the API as it came: an upload.
func (p *Pages) forward(c echo.Context, v *view, path, key string) (Answer, error) {
	return p.call(c, v, Request{
		Method: http.MethodPost, Path: path, Key: key, ContentType: c.Request().Header.Get(echo.HeaderContentType),
		Body: io.NopCloser(c.Request().Body),
	})
}

// refused splits an error into a problem that the page shows and a failure that it cannot.
func refused(err error) (*Problem, error) {
	var problem *Problem
	if errors.As(err, &problem) && problem.Status < 500 {
		return problem, nil
	}
	return nil, err
}

// pageQuery passes the named parameters of the page's own query on.
func pageQuery(c echo.Context, names ...string) url.Values {
	query := url.Values{}
	for _, name := range names {
		if value := strings.TrimSpace(c.QueryParam(name)); value != "" {
			query.Set(name, value)
		}
	}
	return query
}
