package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs"
)

// homeData is what runs and what failed.
type homeData struct {
	Running, Queued, Failed, Recent []tune
	Workers                         []homeWorker
	Slots                           int // of the fleet, for an admin
	Busy                            int // jobs that run: the fleet's for an admin, or else the workspace's
	Jobs                            []Job
	NoData                          bool // there is nothing to run a tune on
}

type homeWorker struct {
	Host      string
	PID       int
	Slots     string
	Busy      int
	StartedAt *time.Time
}

// Home handles GET /admin.
func (p *Pages) Home(c echo.Context) error {
	v, err := p.page(c, "Home", "Home")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return p.render(c, http.StatusOK, "home", v)
	}
	v.Topics = "backtests jobs"
	var data homeData
	var sets types.List[types.Dataset]
	if err := p.get(c, v, "/datasets", url.Values{"limit": {"1"}}, &sets); err != nil {
		return err
	}
	data.NoData = len(sets.Items) == 0
	for status, into := range map[string]*[]tune{"running": &data.Running, "queued": &data.Queued, "failed": &data.Failed, "completed": &data.Recent} {
		var found types.List[tune]
		if err := p.get(c, v, "/backtests/tunes", url.Values{"status": {status}, "limit": {"10"}}, &found); err != nil {
			return err
		}
		*into = found.Items
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	recent := data.Failed[:0]
	for _, t := range data.Failed {
		if t.CompletedAt != nil && t.CompletedAt.After(yesterday) {
			recent = append(recent, t)
		}
	}
	data.Failed = recent
	ctx := c.Request().Context()
	if data.Jobs, err = p.opts.Reads.FailedJobs(ctx, v.Workspace.ID, yesterday, 10); err != nil {
		return err
	}
	workers, err := p.opts.Reads.Workers(ctx)
	if err != nil {
		return err
	}
	for _, w := range workers {
		slots := jobs.Slots(w.Queues)
		data.Slots, data.Busy = data.Slots+slots[jobs.QueueTrials], data.Busy+w.Running
		data.Workers = append(data.Workers, homeWorker{w.Host, w.PID, slots.String(), w.Running, &w.StartedAt})
	}
	if !v.Who.Admin {
		if data.Busy, err = p.opts.Reads.Running(ctx, v.Workspace.ID); err != nil {
			return err
		}
	}
	v.Data = data
	return p.render(c, http.StatusOK, "home", v)
}
