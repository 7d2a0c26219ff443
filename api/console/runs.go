package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/report"
)

// Runs handles GET /admin/runs.
func (p *Pages) Runs(c echo.Context) error {
	v, err := p.page(c, "Backtests", "Backtests")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "runs", err)
	}
	query := pageQuery(c, "strategy", "archived", "cursor")
	var found types.List[types.Run]
	if err := p.get(c, v, "/backtests/runs", query, &found); err != nil {
		return err
	}
	strategies, err := p.strategies(c, v)
	if err != nil {
		return err
	}
	v.Data = struct {
		Runs              []types.Run
		Strategy          string
		Strategies        []string
		Selects, Archived bool
		Pager             pager
	}{found.Items, query.Get("strategy"), namesOf(strategies), c.QueryParam("select") != "", query.Get("archived") != "", newPager(c, query, found.NextCursor)}
	return p.render(c, http.StatusOK, "runs", v)
}

// Run handles GET /admin/runs/:id: the page of a trial, of a single backtest.
func (p *Pages) Run(c echo.Context) error {
	v, err := p.page(c, "Backtests", "Run")
	if err != nil {
		return err
	}
	run, err := p.findRun(c, v)
	if err != nil {
		return err
	}
	var spec struct {
		Params map[string]float64 `json:"params"`
		Notes  []string           `json:"notes"`
		Script *types.Script      `json:"script"`
	}
	if err := json.Unmarshal(run.Spec, &spec); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	data := &trialData{
		RunID: run.ID.String(), Strategy: run.Strategy, Dataset: run.Dataset, At: "/admin/runs/" + run.ID.String(), CreatedAt: run.CreatedAt, ArchivedAt: run.ArchivedAt, Notes: spec.Notes,
	}
	data.Params = p.paramsOf(c, v, spec.Script != nil, spec.Script, spec.Params, data)
	body, err := requestOfRun(run)
	if err != nil {
		return err
	}
	v.Title = run.Strategy + " · " + run.Dataset
	v.Plots, v.Data = true, data
	if _, ok := recall[*result](p.memory, run.key()); !ok && isLong(run.Strategy, run.Metrics.Bars) && !wantsWhole(c) {
		v.Late = plural(run.Metrics.Bars, "bar")
		if data.IS, err = asMetrics(&run.Metrics); err != nil {
			return err
		}
		return p.render(c, http.StatusOK, "trial", v)
	}
	found, err := p.resultOf(c.Request().Context(), run)
	if err != nil {
		return err
	}
	if err := data.fill(c, found, body, ""); err != nil {
		return err
	}
	return p.render(c, http.StatusOK, "trial", v)
}

func (p *Pages) findRun(c echo.Context, v *view) (*StoredRun, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || v.Workspace == nil {
		return nil, notFound()
	}
	return p.opts.Reads.Run(c.Request().Context(), v.Workspace.ID, id)
}

// key is what the run is kept under in memory.
func (r *StoredRun) key() string {
	return fmt.Sprint(r.WorkspaceID, "/run/", r.ID, "/", r.Bound != nil) // the lines of a script go with it
}

// resultOf is the run as a page shows a backtest. A script runs again for its lines, as many at a time as trials do.
func (p *Pages) resultOf(ctx context.Context, run *StoredRun) (*result, error) {
	if found, ok := recall[*result](p.memory, run.key()); ok {
		return found, nil
	}
	if err := p.opts.Reads.RunSeries(ctx, run); err != nil {
		return nil, err
	}
	if isScript(run.Strategy) {
		select {
		case p.replays <- struct{}{}:
			defer func() { <-p.replays }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	found := run.result(ctx)
	p.keepResult(run.key(), found)
	return found, nil
}

// result is the run as a page shows a backtest: all of its bars are one part.
func (r *StoredRun) result(ctx context.Context) *result {
	found := &result{
		Bars: r.Bars, Window: r.Window, OOS: backtest.Window{From: r.Window.To, To: r.Window.To}, Trades: r.Trades, InSample: len(r.Trades), MetricsIS: r.Metrics,
		Curve: report.Curve{Bars: r.Bars, Window: r.Window, Calendar: r.Calendar, Start: r.Cash, Equity: r.Equity},
	}
	if !isScript(r.Strategy) {
		found.show(plotsOf(r.Bars, r.Bound, r.Params))
		return found
	}
	if r.Bound == nil {
		found.NoPlots = "The script is deleted: the lines that it plotted are not shown."
		return found
	}
	found.draw(r.lines(ctx))
	return found
}

// lines are what the run's script draws.
func (r *StoredRun) lines(ctx context.Context) ([]backtest.Plot, int, error) {
	values, faults := backtest.CheckParams(r.Bound, r.Params)
	if len(faults) > 0 {
		return nil, 0, faults[0]
	}
	trader := backtest.NewTrader(r.Bars, r.Bound, r.Config)
	drawer, ok := trader.(backtest.Drawer)
	if !ok {
		return nil, 0, nil
	}
	late := time.Now().Add(replayTime)
	trader.OnStop(func() bool { return ctx.Err() != nil || time.Now().After(late) })
	trader.Prepare(values)
	return drawer.Lines(r.Window)
}

// RunPlot handles GET /admin/runs/:id/plot.
func (p *Pages) RunPlot(c echo.Context) error {
	v, err := p.page(c, "Backtests", "Run")
	if err != nil {
		return err
	}
	run, err := p.findRun(c, v)
	if err != nil {
		return err
	}
	found, err := p.resultOf(c.Request().Context(), run)
	if err != nil {
		return err
	}
	return servePlot(c, found, "/admin/runs/"+run.ID.String(), "")
}

// RunTrades handles GET /admin/runs/:id/trades.csv: the API's own list.
func (p *Pages) RunTrades(c echo.Context) error {
	v, err := p.page(c, "Backtests", "Run")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	answer, err := p.call(c, v, Request{Method: http.MethodGet, Path: "/backtests/runs/" + url.PathEscape(c.Param("id")) + "/trades?format=csv"})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="trades.csv"`)
	return c.Blob(http.StatusOK, "text/csv; charset=utf-8", answer.Body)
}
