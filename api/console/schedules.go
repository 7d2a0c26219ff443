package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// schedule is a schedule of the API with what its pages ask of it.
type schedule struct{ types.Schedule }

// State is where it is, in a word.
func (s schedule) State() string {
	switch {
	case s.Paused:
		return "paused"
	case s.Failing:
		return "failing"
	}
	return "active"
}

// LastRun is the newest run; nil before the first.
func (s schedule) LastRun() *slot {
	if s.Last == nil {
		return nil
	}
	return &slot{*s.Last, s.Kind}
}

// slot is an entry of a schedule's history with what its pages ask of it.
type slot struct {
	types.ScheduleSlot
	Kind types.ScheduleKind
}

// Cause says why it is there.
func (s slot) Cause() string {
	switch s.ScheduleSlot.Cause {
	case "cron":
		return "cron line"
	case "bars":
		return "new bars"
	}
	return "by hand"
}

// Link is where its work is shown, and what that is called; empty before it was submitted.
func (s slot) Link() (link struct{ Href, Name string }) {
	if s.ResultID == nil {
		return link
	}
	switch link.Name = "walk-forward"; s.Kind {
	case types.ScheduleTune:
		link.Href, link.Name = "/admin/tunes/"+url.PathEscape(*s.ResultID), "tune"
	case types.ScheduleIngestion: // its document is in the list
		link.Href, link.Name = "/admin/ingestion", "documents"
	default:
		link.Href = "/admin/wfo/" + url.PathEscape(*s.ResultID)
	}
	return link
}

// Same reports whether its result was compared with one before and is the same.
func (s slot) Same() bool { return s.ComparedWith != nil && len(s.ScheduleSlot.Changes) == 0 }

// changedFigure is a figure of a result that differs from the result before, as text.
type changedFigure struct{ Name, Before, After string }

// Changed are the figures that differ from the result before: those of the winner first.
func (s slot) Changed() []changedFigure {
	names := map[string]string{"score": "score", "dsr": "deflated Sharpe", "pbo": "PBO", "verdict": "verdict", "content": "content", "chunks": "chunks"}
	var all []changedFigure
	for _, d := range s.ScheduleSlot.Changes {
		line := changedFigure{names[d.Field], figureText(d.Before, number), figureText(d.After, number)}
		if param, is := strings.CutPrefix(d.Field, "params."); is {
			line.Name = "winner: " + param
		} else if line.Name == "" {
			line.Name = d.Field
		}
		if line.Before == line.After { // they differ beyond the decimals that are shown
			exact := func(v any) string { f, _ := figure(v); return plain(f) }
			line.Before, line.After = figureText(d.Before, exact), figureText(d.After, exact)
		}
		all = append(all, line)
	}
	return all
}

// figureText is the text of a figure that may be a number, a word or nothing.
func figureText(v any, ofNumber func(any) string) string {
	switch v := v.(type) {
	case float64:
		return ofNumber(v)
	case string:
		return v
	}
	return "–"
}

// Schedules handles GET /admin/schedules.
func (p *Pages) Schedules(c echo.Context) error {
	v, err := p.page(c, "Schedules", "Schedules")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "schedules", err)
	}
	v.Topics = "schedules"
	query := pageQuery(c, "cursor")
	query.Set("limit", "50")
	var found types.List[schedule]
	if err := p.get(c, v, "/schedules", query, &found); err != nil {
		return err
	}
	query.Del("limit")
	v.Data = struct {
		Schedules []schedule
		Pager     pager
	}{found.Items, newPager(c, query, found.NextCursor)}
	return p.render(c, http.StatusOK, "schedules", v)
}

// SchedulesOf handles GET /admin/workspaces/:id/schedules: the list, in that workspace.
func (p *Pages) SchedulesOf(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, "/admin/schedules?"+url.Values{"workspace": {c.Param("id")}}.Encode())
}

// Schedule handles GET /admin/schedules/:id.
func (p *Pages) Schedule(c echo.Context) error { return p.showSchedule(c, http.StatusOK, nil) }

func (p *Pages) showSchedule(c echo.Context, status int, problem *Problem) error {
	v, at, err := p.schedulePage(c)
	if err != nil {
		return err
	}
	var found schedule
	if err := p.get(c, v, at, nil, &found); err != nil {
		return err
	}
	query := pageQuery(c, "cursor")
	query.Set("limit", "25")
	var history types.List[types.ScheduleSlot]
	if err := p.get(c, v, at+"/history", query, &history); err != nil {
		return err
	}
	query.Del("limit")
	request, err := found.Request.MarshalJSON()
	if err != nil {
		return err
	}
	slots := make([]slot, len(history.Items))
	for i, entry := range history.Items {
		slots[i] = slot{entry, found.Kind}
	}
	v.Title, v.Topics, v.Problem = found.Name, "schedules", problem
	v.Data = struct {
		Schedule schedule
		Slots    []slot
		Request  string
		Key      string // of a run now: a form that is sent twice is one run
		Pager    pager
	}{found, slots, pretty(request), "console-" + uuid.NewString(), newPager(c, query, history.NextCursor)}
	return p.render(c, status, "schedule", v)
}

// schedulePage is the frame of the page of one schedule, and where the API has that.
func (p *Pages) schedulePage(c echo.Context) (v *view, at string, err error) {
	if v, err = p.page(c, "Schedules", "Schedule"); err != nil {
		return nil, "", err
	}
	if v.Workspace == nil {
		return nil, "", notFound()
	}
	return v, "/schedules/" + url.PathEscape(c.Param("id")), nil
}

// PauseSchedule handles POST /admin/schedules/:id/pause.
func (p *Pages) PauseSchedule(c echo.Context) error { return p.setPaused(c, `{"paused":true}`) }

// ResumeSchedule handles POST /admin/schedules/:id/resume.
func (p *Pages) ResumeSchedule(c echo.Context) error { return p.setPaused(c, `{"paused":false}`) }

func (p *Pages) setPaused(c echo.Context, body string) error {
	return p.changeSchedule(c, func(v *view, at string) error {
		_, err := p.call(c, v, Request{Method: http.MethodPatch, Path: at, Body: strings.NewReader(body)})
		return err
	})
}

// RunSchedule handles POST /admin/schedules/:id/run.
func (p *Pages) RunSchedule(c echo.Context) error {
	return p.changeSchedule(c, func(v *view, at string) error {
		_, err := p.post(c, v, at+"/run", c.FormValue("key"), nil)
		return err
	})
}

// changeSchedule does what a button says, and shows the schedule again: with what the API refused, if it did.
func (p *Pages) changeSchedule(c echo.Context, do func(v *view, at string) error) error {
	v, at, err := p.schedulePage(c)
	if err != nil {
		return err
	}
	if err := do(v, at); err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showSchedule(c, problem.Status, problem)
	}
	return c.Redirect(http.StatusSeeOther, "/admin/schedules/"+url.PathEscape(c.Param("id")))
}

// DeleteSchedule handles POST /admin/schedules/:id/delete.
func (p *Pages) DeleteSchedule(c echo.Context) error {
	v, at, err := p.schedulePage(c)
	if err != nil {
		return err
	}
	if _, err := p.call(c, v, Request{Method: http.MethodDelete, Path: at}); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/schedules")
}
