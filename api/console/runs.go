package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/report"
)

// Run handles GET /admin/runs/:id: the page of a trial, of a single backtest.
func (p *Pages) Run(c echo.Context) error {
	v, err := p.page(c, "Strategies", "Run")
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
		RunID: run.ID.String(), Strategy: run.Strategy, Dataset: run.Dataset, At: "/admin/runs/" + run.ID.String(), CreatedAt: run.CreatedAt, Notes: spec.Notes,
	}
	data.Params = p.paramsOf(c, v, spec.Script != nil, spec.Script, spec.Params, data)
	body, err := requestOfRun(run)
	if err != nil {
		return err
	}
	if err := data.fill(c, run.result(), body, ""); err != nil {
		return err
	}
	v.Title = run.Strategy + " · " + run.Dataset
	v.Plots, v.Data = true, data
	return p.render(c, http.StatusOK, "trial", v)
}

func (p *Pages) findRun(c echo.Context, v *view) (*StoredRun, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || v.Workspace == nil {
		return nil, notFound()
	}
	return p.opts.Reads.Run(c.Request().Context(), v.Workspace.ID, id)
}

// result is the run as a page shows a backtest: all of its bars are one part.
func (r *StoredRun) result() *result {
	found := &result{
		Bars: r.Bars, Window: r.Window, OOS: backtest.Window{From: r.Window.To, To: r.Window.To}, Trades: r.Trades, InSample: len(r.Trades), MetricsIS: r.Metrics,
		Curve: report.Curve{Bars: r.Bars, Window: r.Window, Calendar: r.Calendar, Start: r.Cash, Equity: r.Equity},
	}
	if strategy, ok := backtest.Lookup(r.Strategy); ok {
		found.Plots = plotsOf(r.Bars, strategy, r.Params)
	}
	return found
}

// RunPlot handles GET /admin/runs/:id/plot.
func (p *Pages) RunPlot(c echo.Context) error {
	v, err := p.page(c, "Strategies", "Run")
	if err != nil {
		return err
	}
	run, err := p.findRun(c, v)
	if err != nil {
		return err
	}
	return servePlot(c, run.result().sources(), "/admin/runs/"+run.ID.String(), "")
}

// RunTrades handles GET /admin/runs/:id/trades.csv: the API's own list.
func (p *Pages) RunTrades(c echo.Context) error {
	v, err := p.page(c, "Strategies", "Run")
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
