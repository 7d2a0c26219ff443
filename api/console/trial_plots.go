package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"millrace/api/console/chart"
	"millrace/jobs/backtest"
)

// charts are those of a backtest, in order: its price with trades and indicators, the indicators that have scales of
// their own, equity beside buying and holding, drawdown, and the rolling Sharpe ratio.
func (r *result) charts() []string {
	all := []string{"price"}
	for i := range r.drawn.panes {
		all = append(all, paneName(i))
	}
	return append(all, "equity", "drawdown", "sharpe")
}

// paneName is "pane", "pane-2" and so on.
func paneName(i int) string {
	if i == 0 {
		return "pane"
	}
	return fmt.Sprintf("pane-%d", i+1)
}

// source is a chart of that name with all of its values.
func (r *result) source(name string) chart.Source {
	switch name {
	case "price":
		return r.price()
	case "equity":
		return r.equity()
	case "drawdown":
		return r.drawdown()
	case "sharpe":
		return r.rollingSharpe()
	}
	for i := range r.drawn.panes {
		if paneName(i) == name {
			return r.pane(i)
		}
	}
	return chart.Source{}
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
	for _, p := range r.drawn.price {
		s.Lines = append(s.Lines, chart.PlotLine{Name: p.Name, Class: class(len(s.Lines)), Values: p.Values[w.From:w.To]})
	}
	s.MarksOf = r.marks
	s.Log = !slices.ContainsFunc(s.Lines, func(l chart.PlotLine) bool {
		return slices.ContainsFunc(l.Values, func(v float64) bool { return v <= 0 })
	})
	return s
}

// marks are the entries and exits from one time to another, by time; of more than most only how many they are.
func (r *result) marks(from, to float64, most int) (marks []chart.Mark, n int) {
	within := func(at float64) bool { return at >= from && at <= to }
	for _, t := range r.Trades {
		if within(seconds(t.EntryTime)) {
			n++
		}
		if within(seconds(t.ExitTime)) {
			n++
		}
	}
	if n > most {
		return nil, n
	}
	for i, t := range r.Trades {
		if at := seconds(t.EntryTime); within(at) {
			text := fmt.Sprintf("trade %d: %s %s at %s", i+1, t.Side, plain(t.Size), plain(t.EntryPrice))
			marks = append(marks, chart.Mark{Time: at, Value: t.EntryPrice, Kind: string(t.Side), Text: text})
		}
		if at := seconds(t.ExitTime); within(at) {
			text := fmt.Sprintf("trade %d: %s exit at %s, %s", i+1, t.Side, plain(t.ExitPrice), percent(t.ReturnPct))
			marks = append(marks, chart.Mark{Time: at, Value: t.ExitPrice, Kind: "exit", Text: text})
		}
	}
	slices.SortStableFunc(marks, func(a, b chart.Mark) int { return cmp.Compare(a.Time, b.Time) })
	return marks, n
}

// class is the colour of the i-th line of a chart, from 0.
func class(i int) string { return "s" + strconv.Itoa(i%chart.Colours+1) }

func (r *result) pane(i int) chart.Source {
	w := r.whole()
	s := chart.Source{Micros: r.times(w), Plot: chart.Plot{ID: paneName(i), Title: r.drawn.title(i), Height: 150, Spans: r.spans()}}
	for _, p := range r.drawn.panes[i] {
		s.Lines = append(s.Lines, chart.PlotLine{Name: p.Name, Class: class(len(s.Lines)), Values: p.Values[w.From:w.To]})
	}
	return s
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

// parts are what pages of the result are made of; at is where the other parts of its charts are. They are made once.
func (r *result) parts(at, query string) tearParts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made == nil {
		r.made = &tearParts{years: r.Curve.Monthly(), drawdowns: r.Curve.Drawdowns(mostDrawdowns)}
		for _, name := range r.charts() {
			r.made.plots = append(r.made.plots, linked(r.source(name), "", query).Part(0, 0))
		}
	}
	made := *r.made
	made.plots = slices.Clone(made.plots)
	for i := range made.plots {
		plot := &made.plots[i]
		if plot.More != "" {
			plot.More = at + plot.More
		}
		plot.CSV = at + plot.CSV
	}
	return made
}

// linked says where the parts and the values of a chart are.
func linked(s chart.Source, at, query string) chart.Source {
	s.More = at + "/plot?chart=" + s.ID + query
	s.CSV = s.More + "&format=csv"
	return s
}

// servePlot answers a part of a chart as JSON, or all of it as CSV.
func servePlot(c echo.Context, r *result, at, query string) error {
	name := c.QueryParam("chart")
	if !slices.Contains(r.charts(), name) {
		return notFound()
	}
	return sendPlot(c, r.source(name), at, query)
}

// sendPlot is servePlot of a chart that was found.
func sendPlot(c echo.Context, source chart.Source, at, query string) error {
	if c.QueryParam("format") == "csv" {
		c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
		c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+source.ID+`.csv"`)
		c.Response().WriteHeader(http.StatusOK)
		return source.WriteCSV(c.Response())
	}
	part, err := json.Marshal(linked(source, at, query).Part(micros(c.QueryParam("from")), micros(c.QueryParam("to"))))
	if err != nil {
		return fmt.Errorf("encode chart %s: %w", source.ID, err)
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
