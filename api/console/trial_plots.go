package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/jobs/backtest"
)

// sources are the charts of a backtest: its price with trades and indicators, the indicators that have a
// scale of their own, equity beside buying and holding, drawdown, and the rolling Sharpe ratio.
func (r *result) sources() []chart.Source {
	all := []chart.Source{r.price()}
	if pane, ok := r.pane(); ok {
		all = append(all, pane)
	}
	return append(all, r.equity(), r.drawdown(), r.rollingSharpe())
}

// times are those of the bars in a window.
func (r *result) times(w backtest.Window) []int64 { return r.Bars.Time[w.From:w.To] }

// spans shade the out-of-sample part.
func (r *result) spans() []chart.PlotSpan {
	if r.OOS.Len() == 0 {
		return nil
	}
	times := r.times(r.OOS)
	return []chart.PlotSpan{{From: seconds(times[0]), To: seconds(times[len(times)-1]), Name: "out of sample"}}
}

func seconds(micros int64) float64 { return float64(micros) / 1e6 }

func (r *result) price() chart.Source {
	w := r.whole()
	s := chart.Source{Micros: r.times(w), Plot: chart.Plot{ID: "price", Title: "Price, entries and exits", Log: true, Height: 320, Spans: r.spans()}}
	s.Lines = append(s.Lines, chart.PlotLine{Name: "close", Class: "s1", Values: r.Bars.Close[w.From:w.To]})
	for _, p := range r.Plots {
		if !p.Pane {
			s.Lines = append(s.Lines, chart.PlotLine{Name: p.Name, Class: class(len(s.Lines)), Values: p.Values[w.From:w.To]})
		}
	}
	for i, t := range r.Trades {
		entry := fmt.Sprintf("trade %d: %s %s at %s", i+1, t.Side, plain(t.Size), plain(t.EntryPrice))
		exit := fmt.Sprintf("trade %d: %s exit at %s, %s", i+1, t.Side, plain(t.ExitPrice), percent(t.ReturnPct))
		s.Marks = append(s.Marks, chart.Mark{Time: seconds(t.EntryTime), Value: t.EntryPrice, Kind: string(t.Side), Text: entry},
			chart.Mark{Time: seconds(t.ExitTime), Value: t.ExitPrice, Kind: "exit", Text: exit})
	}
	s.Log = !slices.ContainsFunc(s.Lines, func(l chart.PlotLine) bool {
		return slices.ContainsFunc(l.Values, func(v float64) bool { return v <= 0 })
	})
	slices.SortStableFunc(s.Marks, func(a, b chart.Mark) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return s
}

// class is the colour of the i-th line of a chart, from 0.
func class(i int) string { return "s" + strconv.Itoa(i%chart.Colours+1) }

func (r *result) pane() (chart.Source, bool) {
	w := r.whole()
	s := chart.Source{Micros: r.times(w), Plot: chart.Plot{ID: "pane", Title: "Indicators", Height: 150, Spans: r.spans()}}
	for _, p := range r.Plots {
		if p.Pane {
			s.Lines = append(s.Lines, chart.PlotLine{Name: p.Name, Class: class(len(s.Lines)), Values: p.Values[w.From:w.To]})
		}
	}
	return s, len(s.Lines) > 0
}

func (r *result) equity() chart.Source {
	return chart.Source{Micros: r.times(r.whole()), Plot: chart.Plot{
		ID: "equity", Title: "Equity beside buy and hold", Log: true, Height: 260, Spans: r.spans(), Lines: []chart.PlotLine{
			{Name: "equity", Class: "s1", Values: r.Curve.Equity}, {Name: "buy and hold", Class: "s2", Values: r.Curve.BuyAndHold().Equity},
		}}}
}

func (r *result) drawdown() chart.Source {
	return chart.Source{Micros: r.times(r.whole()), Plot: chart.Plot{
		ID: "drawdown", Title: "Drawdown", Unit: "%", Height: 150, Spans: r.spans(), Lines: []chart.PlotLine{
			{Name: "drawdown", Class: "down", Values: r.Curve.Underwater(), Area: true}, {Name: "buy and hold", Class: "s2", Values: r.Curve.BuyAndHold().Underwater()},
		}}}
}

func (r *result) rollingSharpe() chart.Source {
	n := r.Curve.RollingPeriods()
	s := chart.Source{Plot: chart.Plot{ID: "sharpe", Title: fmt.Sprintf("Rolling Sharpe over %s", plural(n, "return")), Height: 150, Spans: r.spans()}}
	line := chart.PlotLine{Name: "Sharpe", Class: "s1"}
	for _, point := range r.Curve.RollingSharpe(n) {
		s.Micros, line.Values = append(s.Micros, point.Time), append(line.Values, point.Value)
	}
	s.Lines = []chart.PlotLine{line}
	return s
}

// plots are the charts of a page, reduced; at is where their other parts are.
func (r *result) plots(at, query string) []chart.Plot {
	var all []chart.Plot
	for _, s := range r.sources() {
		all = append(all, linked(s, at, query).Part(0, 0))
	}
	return all
}

// linked says where the parts and the values of a chart are.
func linked(s chart.Source, at, query string) chart.Source {
	s.More = at + "/plot?chart=" + s.ID + query
	s.CSV = s.More + "&format=csv"
	return s
}

// servePlot answers a part of a chart as JSON, or all of it as CSV.
func servePlot(c echo.Context, sources []chart.Source, at, query string) error {
	i := slices.IndexFunc(sources, func(s chart.Source) bool { return s.ID == c.QueryParam("chart") })
	if i < 0 {
		return notFound()
	}
	if c.QueryParam("format") == "csv" {
		c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
		c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+sources[i].ID+`.csv"`)
		c.Response().WriteHeader(http.StatusOK)
		return sources[i].WriteCSV(c.Response())
	}
	part, err := json.Marshal(linked(sources[i], at, query).Part(micros(c.QueryParam("from")), micros(c.QueryParam("to"))))
	if err != nil {
		return fmt.Errorf("encode chart %s: %w", sources[i].ID, err)
	}
	return send(c, http.StatusOK, echo.MIMEApplicationJSON, part)
}

// micros reads seconds since 1970; what is not a number is 0.
func micros(text string) int64 {
	at, err := strconv.ParseFloat(text, 64)
	if err != nil || at < -1e11 || at > 1e11 {
		return 0
	}
	return int64(at * 1e6)
}
