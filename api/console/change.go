package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// change is what the page of a change asks to be confirmed.
type change struct {
	Kind, Action string
	IDs          []string
	Deletion     *types.Deletion   // of those that are deleted by their own addresses
	Many         *types.BulkResult // of those that a filter finds
	Back         string
	Problem      *Problem
	of           changeKind
}

// Blocked reports whether it is refused unless what depends on it goes too.
func (c change) Blocked() bool {
	return c.Deletion != nil && c.Deletion.DependantsTotal+c.Deletion.ActiveTotal > 0
}

// changeKind is where things of a kind are in the API and in the console, what they are called, and what is done to them.
type changeKind struct {
	API, Back, Noun string
	Actions         []string
	Filtered        bool   // several are changed by one request of the API
	Query           string // of a deletion
}

func changeKinds() map[string]changeKind {
	ending, kept := []string{"cancel", "retry", "archive", "restore", "delete"}, []string{"archive", "restore", "delete"}
	return map[string]changeKind{
		"tune":     {API: "/backtests/tunes/", Back: "/admin/tunes", Noun: "tune", Actions: ending, Filtered: true},
		"wfo":      {API: "/backtests/wfo/", Back: "/admin/wfo", Noun: "walk-forward", Actions: ending, Filtered: true},
		"run_plan": {API: "/run-plans/", Back: "/admin/plans", Noun: "run plan", Actions: ending, Filtered: true},
		"run":      {API: "/backtests/runs/", Back: "/admin/runs", Noun: "run", Actions: kept, Filtered: true},
		"dataset":  {API: "/datasets/", Back: "/admin/datasets", Noun: "version of a dataset", Actions: []string{"delete"}},
		"series":   {API: "/datasets/", Back: "/admin/datasets", Noun: "dataset", Actions: kept, Query: "&versions=all"},
		"document": {API: "/documents/", Back: "/admin/ingestion", Noun: "document", Actions: kept},
		"strategy": {API: "/strategies/", Back: "/admin/strategies", Noun: "script", Actions: kept},
	}
}

// mostChanged is how many things are changed one after the other.
const mostChanged = 100

// readChange reads what the browser asks to change.
func readChange(c echo.Context) (change, error) {
	form, err := c.FormParams()
	if err != nil {
		return change{}, &Problem{Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: "The form cannot be read."}
	}
	asked := change{Kind: form.Get("kind"), Action: form.Get("action"), IDs: form["id"]}
	of, known := changeKinds()[asked.Kind]
	if !known || !slices.Contains(of.Actions, asked.Action) {
		return change{}, notFound()
	}
	asked.of, asked.Back = of, of.Back
	if len(asked.IDs) == 0 {
		return change{}, &Problem{Title: "Nothing is selected", Status: http.StatusUnprocessableEntity, Detail: "Select at least one in the list, then choose what to do."}
	}
	if asked.each() && len(asked.IDs) > mostChanged {
		return change{}, &Problem{Title: "Too many are selected", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("Select at most %d.", mostChanged)}
	}
	return asked, nil
}

// What names what is changed.
func (c change) What() string {
	switch {
	case c.Many != nil:
		return plural(c.Many.Matched, c.of.Noun)
	case len(c.IDs) == 1:
		return "this " + c.of.Noun
	}
	return plural(len(c.IDs), c.of.Noun)
}

// each reports whether things are changed by their own addresses, one after the other.
func (c change) each() bool { return !c.of.Filtered || len(c.IDs) == 1 && c.Action == "delete" }

// do makes the change to one thing, or asks what its deletion takes along.
func (c change) do(p *Pages, ctx echo.Context, v *view, id, query string) (Answer, error) {
	at := c.of.API + url.PathEscape(id)
	if c.Action == "delete" {
		return p.call(ctx, v, Request{Method: http.MethodDelete, Path: at + "?" + query + c.of.Query})
	}
	return p.post(ctx, v, at+"/"+c.Action, "", nil)
}

// preview is what the deletion of all of them takes along.
func (c change) preview(p *Pages, ctx echo.Context, v *view) (*types.Deletion, error) {
	all := types.Deletion{Deletes: map[string]int{}}
	for _, id := range c.IDs {
		answer, err := c.do(p, ctx, v, id, "dry_run=true")
		if err != nil {
			return nil, err
		}
		var one types.Deletion
		if err := answer.into(&one); err != nil {
			return nil, err
		}
		for kind, n := range one.Deletes {
			all.Deletes[kind] += n
		}
		all.Dependants, all.DependantsTotal = append(all.Dependants, one.Dependants...), all.DependantsTotal+one.DependantsTotal
		all.Active, all.ActiveTotal = append(all.Active, one.Active...), all.ActiveTotal+one.ActiveTotal
	}
	return &all, nil
}

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
	if !asked.each() {
		answer, err := p.post(c, v, "/bulk", "", asked.bulk(-1))
		if err != nil {
			return err
		}
		if err := answer.into(&asked.Many); err != nil {
			return err
		}
	} else if asked.Action == "delete" {
		if asked.Deletion, err = asked.preview(p, c, v); err != nil {
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
	if err := asked.make(p, c, v, confirm, c.FormValue("cascade") == "true"); err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showChange(c, problem.Status, problem)
	}
	if asked.Action == "retry" && len(asked.IDs) == 1 {
		return c.Redirect(http.StatusSeeOther, asked.Back+"/"+url.PathEscape(asked.IDs[0]))
	}
	return c.Redirect(http.StatusSeeOther, asked.Back)
}

// make changes all of them, or those before the first that is refused.
func (c change) make(p *Pages, ctx echo.Context, v *view, confirm int, cascade bool) error {
	if !c.each() {
		req := c.bulk(confirm)
		req.Cascade = cascade
		_, err := p.post(ctx, v, "/bulk", "", req)
		return err
	}
	for i, id := range c.IDs {
		_, err := c.do(p, ctx, v, id, "cascade="+strconv.FormatBool(cascade))
		var problem *Problem
		if errors.As(err, &problem) && i > 0 {
			problem.Detail = fmt.Sprintf("%d of %d were changed before this one. %s", i, len(c.IDs), problem.Detail)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
