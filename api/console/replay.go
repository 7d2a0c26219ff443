package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
	"unsafe"

	"millrace/api/console/chart"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/report"
	"millrace/jobs/sweep"
)

// Trials that pages show are not stored with their trades: they are run again, which takes milliseconds
// and gives the same bits. Scripts can take longer, so a page gives up after replayTime, and at most
// replaysAtOnce run at a time.
const (
	replayTime    = 10 * time.Second
	replaysAtOnce = 2
)

// result is one backtest with what it ran on, as its page shows it.
type result struct {
	Bars       *backtest.Bars
	Window     backtest.Window // in sample, or all that was traded
	OOS        backtest.Window // empty without a split
	Curve      report.Curve    // out of sample continues from in sample
	Trades     []backtest.Trade
	InSample   int // how many of Trades are in sample
	MetricsIS  backtest.Metrics
	MetricsOOS *backtest.Metrics
	drawn      drawn
	NoPlots    string // why there are none, or not all; "" when nothing is to be said
	unfinished bool   // the lines of the script could not be drawn: another time they may be

	made *tearParts // nil until a page was made of it; under mu
	mu   sync.Mutex
}

// tearParts are the parts of a page of one result that every page of it has.
type tearParts struct {
	plots     []chart.Plot
	years     []report.Year
	drawdowns []report.Drawdown
}

// bytes is about what the result takes in memory beside its bars.
func (r *result) bytes() int {
	n := 4096 + 8*len(r.Curve.Equity) + len(r.Trades)*int(unsafe.Sizeof(backtest.Trade{}))
	n += 8 * r.drawn.count() * r.Bars.Len()
	return n + 1<<19 // what is made of it for pages
}

// keepResult puts a result in memory, if it will always be the same.
func (p *Pages) keepResult(key string, r *result) {
	if !r.unfinished {
		p.memory.keepWith(key, r, r.bytes(), r.Bars)
	}
}

var errReplay = errors.New("the trial cannot be run again")

// replay runs a trial of a tune again on one of its datasets; "" is the first.
func (p *Pages) replay(ctx context.Context, t *StoredTune, params map[string]float64, dataset string) (*result, error) {
	series, err := p.opts.Reads.Series(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := p.opts.Reads.Bind(ctx, t); err != nil {
		return nil, err
	}
	if found, ok := recall[*result](p.memory, replayKey(t, params, dataset)); ok {
		return found, nil
	}
	select {
	case p.replays <- struct{}{}:
		defer func() { <-p.replays }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	spec := t.Spec
	at := max(slices.IndexFunc(series, func(s sweep.Series) bool { return s.Name == dataset }), 0)
	series, spec.Datasets = series[at:at+1], nil
	plan, faults := sweep.NewPlanOver(spec, series)
	if len(faults) > 0 {
		return nil, fmt.Errorf("tune %s: %w: %w", t.ID, errReplay, faults[0])
	}
	late := time.Now().Add(replayTime)
	run, faults := plan.Replay(params, func() bool { return ctx.Err() != nil || time.Now().After(late) })
	if len(faults) > 0 {
		if time.Now().After(late) {
			return nil, &Problem{Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity,
				Detail: fmt.Sprintf("The trial takes longer than %s to run again, so its trades are not shown.", replayTime)}
		}
		return nil, &Problem{Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity,
			Detail: "The trial cannot be run again: " + faults[0].Message + "."}
	}
	spec.Normalize()
	account, _ := spec.EffectiveAccount()
	curve := func(w backtest.Window, equity []float64) report.Curve {
		return report.Curve{Bars: series[0].Bars, Window: w, Calendar: series[0].Calendar, Start: account.Cash, Equity: equity}
	}
	found := &result{
		Bars: series[0].Bars, Window: run.IS, OOS: run.OOS, Curve: report.Join(curve(run.IS, run.EquityIS), curve(run.OOS, run.EquityOOS)),
		Trades: slices.Concat(run.TradesIS, run.TradesOOS), InSample: len(run.TradesIS), MetricsIS: run.MetricsIS, MetricsOOS: run.MetricsOOS,
	}
	found.show(plotsOf(series[0].Bars, spec.Strategy(), params))
	if found.drawn.count() == 0 && isScript(spec.StrategyName) {
		found.draw(plan.Lines(params, func() bool { return ctx.Err() != nil || time.Now().After(late) }))
	}
	p.keepResult(replayKey(t, params, dataset), found)
	return found, nil
}

// replayKey is what a trial that ran again is kept under in memory.
func replayKey(t *StoredTune, params map[string]float64, dataset string) string {
	return fmt.Sprint(t.WorkspaceID, "/tune/", t.ID, "/", dataset, "/", params) // a map is written in the order of its keys
}

// plotsOf are the lines that a built-in strategy decides by, none of one that does not show them.
func plotsOf(bars *backtest.Bars, strategy backtest.Strategy, params map[string]float64) []backtest.Plot {
	if strategy == nil {
		return nil
	}
	values, faults := backtest.CheckParams(strategy, params)
	if len(faults) > 0 {
		return nil
	}
	return backtest.PlotsOf(bars, strategy, values)
}

// show puts the lines of a built-in strategy on their charts.
func (r *result) show(lines []backtest.Plot) {
	r.drawn = arrange(r.Bars, r.whole(), lines)
	r.drawn.cut(chart.Colours)
}

// draw keeps the lines that a script draws: as many as the charts have colours for.
func (r *result) draw(lines []backtest.Plot, leftOut int, err error) {
	if err != nil {
		r.unfinished, r.NoPlots = true, "The lines that the script plots are not shown: "+err.Error()+"."
		return
	}
	n := len(lines)
	lines = slices.DeleteFunc(lines, func(line backtest.Plot) bool {
		return !slices.ContainsFunc(line.Values, func(v float64) bool { return !math.IsNaN(v) })
	})
	leftOut += n - len(lines)
	r.drawn = arrange(r.Bars, r.whole(), lines)
	leftOut += r.drawn.cut(chart.Colours)
	switch {
	case r.drawn.count() == 0 && leftOut == 0:
		r.NoPlots = "The script plots no lines."
	case leftOut > 0:
		r.NoPlots = plural(leftOut, "line") + " that the script plots " + map[bool]string{true: "is", false: "are"}[leftOut == 1] + " left out: a chart has at most eight lines, and only those with values."
	}
}

// whole is all that was traded.
func (r *result) whole() backtest.Window { return r.Curve.Window }

// asMetrics are figures as the API gives them, with the reasons of those that are undefined.
func asMetrics(m *backtest.Metrics) (*types.Metrics, error) {
	if m == nil {
		return nil, nil
	}
	var view types.Metrics
	raw, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(raw, &view)
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return &view, nil
}
