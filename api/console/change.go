package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// change is what the page of a change asks to be confirmed.
type change struct {
	Kind, Noun, Action string
	IDs                []string
	Deletion           *types.Deletion   // of a single one
	Many               *types.BulkResult // of several, or of what is not deleted
	Back               string
	Problem            *Problem
}

// Blocked reports whether it is refused unless what depends on it goes too.
func (c change) Blocked() bool {
	return c.Deletion != nil && c.Deletion.DependantsTotal+c.Deletion.ActiveTotal > 0
}

// changeKinds are where things of a kind are in the API and in the console, and what they are called.
func changeKinds() map[string][3]string {
	return map[string][3]string{
		"tune": {"/backtests/tunes/", "/admin/tunes", "tune"}, "wfo": {"/backtests/wfo/", "/admin/wfo", "walk-forward"},
		"dataset": {"/datasets/", "/admin/datasets", "version of a dataset"},
	}
}

// readChange reads what the browser asks to change.
func readChange(c echo.Context) (change, error) {
	form, err := c.FormParams()
	if err != nil {
		return change{}, &Problem{Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: "The form cannot be read."}
	}
	asked := change{Kind: form.Get("kind"), Action: form.Get("action"), IDs: form["id"]}
	of, known := changeKinds()[asked.Kind]
	if !known || !slices.Contains([]string{"cancel", "delete", "archive", "restore"}, asked.Action) {
		return change{}, notFound()
	}
	if asked.Noun, asked.Back = of[2], of[1]; len(asked.IDs) == 0 {
		return change{}, &Problem{Title: "Nothing is selected", Status: http.StatusUnprocessableEntity, Detail: "Select at least one in the list, then choose what to do."}
	}
	return asked, nil
}

// single reports whether one thing is changed by its own address.
func (c change) single() bool {
	return len(c.IDs) == 1 && (c.Action == "delete" || c.Kind == "dataset")
}

func (c change) path() string { return changeKinds()[c.Kind][0] + url.PathEscape(c.IDs[0]) }

// bulk is the request for several.
func (c change) bulk(confirm int) types.BulkRequest {
	req := types.BulkRequest{Kind: c.Kind, Action: c.Action, Filter: types.BulkFilter{IDs: c.IDs}, DryRun: confirm < 0}
	if confirm >= 0 {
		req.Confirm = &confirm
	}
	return req
}

// Change handles GET /admin/change: what would be deleted, cancelled or archived, to be confirmed.
func (p *Pages) Change(c echo.Context) error { return p.showChange(c, http.StatusOK, nil) }

func (p *Pages) showChange(c echo.Context, status int, problem *Problem) error {
	v, err := p.page(c, "", "Confirm")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	asked, err := readChange(c)
	if err != nil {
		return err
	}
	asked.Problem = problem
	switch {
	case asked.single() && asked.Action == "delete":
		answer, err := p.call(c, v, Request{Method: http.MethodDelete, Path: asked.path() + "?dry_run=true"})
		if err != nil {
			return err
		}
		if err := answer.into(&asked.Deletion); err != nil {
			return err
		}
	case !asked.single():
		answer, err := p.post(c, v, "/bulk", "", asked.bulk(-1))
		if err != nil {
			return err
		}
		if err := answer.into(&asked.Many); err != nil {
			return err
		}
	}
	v.Data = asked
	return p.render(c, status, "change", v)
}

// MakeChange handles POST /admin/change.
func (p *Pages) MakeChange(c echo.Context) error {
	v, err := p.page(c, "", "Confirm")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	asked, err := readChange(c)
	if err != nil {
		return err
	}
	confirm, err := strconv.Atoi(c.FormValue("confirm"))
	if err != nil || confirm < 0 {
		return p.showChange(c, http.StatusUnprocessableEntity, nil)
	}
	cascade := c.FormValue("cascade") == "true"
	switch {
	case asked.single() && asked.Action == "delete":
		_, err = p.call(c, v, Request{Method: http.MethodDelete, Path: asked.path() + "?cascade=" + strconv.FormatBool(cascade)})
	case asked.single():
		_, err = p.post(c, v, asked.path()+"/"+asked.Action, "", nil)
	default:
		req := asked.bulk(confirm)
		req.Cascade = cascade
		_, err = p.post(c, v, "/bulk", "", req)
	}
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showChange(c, problem.Status, problem)
	}
	return c.Redirect(http.StatusSeeOther, asked.Back)
}
