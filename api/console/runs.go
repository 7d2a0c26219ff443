package console

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/api/types"
)

// mostTrades is how many trades a page lists: the rest is in the CSV.
const mostTrades = 500

// runData is the page of one run.
type runData struct {
	Run          types.Run
	Notes        []string
	Params       string
	ScriptID     string
	Trades       []types.Trade
	Left         int // trades that the page leaves out
	Equity, Down any
}

// Run handles GET /admin/runs/:id.
func (p *Pages) Run(c echo.Context) error {
	v, err := p.page(c, "Strategies", "Run")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	at := "/backtests/runs/" + url.PathEscape(c.Param("id"))
	var data runData
	if err := p.get(c, v, at, nil, &data.Run); err != nil {
		return err
	}
	var spec struct {
		Params map[string]float64 `json:"params"`
		Notes  []string           `json:"notes"`
		Script *struct {
			ID string `json:"id"`
		} `json:"script"`
	}
	if err := json.Unmarshal(data.Run.Spec, &spec); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	data.Params, data.Notes = params(spec.Params), spec.Notes
	if spec.Script != nil {
		// A script that is deleted has no page, and its options have no names any more.
		var script types.Strategy
		if p.get(c, v, "/strategies/"+url.PathEscape(spec.Script.ID), nil, &script) == nil {
			data.ScriptID, data.Params = spec.Script.ID, named(&script, spec.Params)
		}
	}
	var trades types.List[types.Trade]
	if err := p.get(c, v, at+"/trades", nil, &trades); err != nil {
		return err
	}
	data.Trades = trades.Items
	if len(data.Trades) > mostTrades {
		data.Left = len(data.Trades) - mostTrades
		data.Trades = data.Trades[:mostTrades]
	}
	var equity types.List[types.Equity]
	if err := p.get(c, v, at+"/equity", nil, &equity); err != nil {
		return err
	}
	data.Equity, data.Down = runCharts(equity.Items)
	v.Title = data.Run.Strategy + " · " + data.Run.Dataset
	v.Data = data
	return p.render(c, http.StatusOK, "run", v)
}

// named are the values of a script's inputs, options by their names.
func named(s *types.Strategy, values map[string]float64) string {
	var texts []string
	for _, spec := range s.Params {
		if value, ok := values[spec.Name]; ok {
			texts = append(texts, spec.Name+" "+valueText(spec, value))
		}
	}
	return strings.Join(texts, " · ")
}

// runCharts draws the equity and its distance from the highest before.
func runCharts(points []types.Equity) (equity, drawdown any) {
	times, values, down := make([]int64, len(points)), make([]float64, len(points)), make([]float64, len(points))
	peak := math.Inf(-1)
	for i, e := range points {
		peak = max(peak, e.Equity)
		times[i], values[i], down[i] = e.Time.UnixMicro(), e.Equity, 100*(e.Equity/peak-1)
	}
	return chart.Lines("Equity at each bar's close", 240, []chart.Series{{Name: "equity", Class: "s1", Time: times, Values: values}}),
		chart.Lines("Drawdown in percent", 130, []chart.Series{{Name: "drawdown", Class: "down", Time: times, Values: down, Area: true}})
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
