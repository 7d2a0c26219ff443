package sweep

import (
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// Replay is one trial run again to show its equity at each bar's close, its trades and all its figures,
// in sample and out of sample. Each part begins with the account's cash.
type Replay struct {
	IS, OOS             backtest.Window // of the dataset's bars; OOS is empty without a split
	EquityIS, EquityOOS []float64
	TradesIS, TradesOOS []backtest.Trade
	MetricsIS           backtest.Metrics
	MetricsOOS          *backtest.Metrics // nil without a split
}

// Replay runs one trial again. A parameter that is not named takes its default. stop, where it is not
// nil, is asked now and then by strategies that can be long about it; a trial that it ends is a fault.
func (p *Plan) Replay(params map[string]float64, stop func() bool) (*Replay, []invalid.FieldError) {
	values, faults := backtest.CheckParams(p.strategy, params)
	if len(faults) > 0 {
		return nil, faults
	}
	runner := p.runner()
	runner.OnStop(stop)
	defer func() {
		runner.OnStop(nil)
		p.runners.Put(runner)
	}()
	runner.Prepare(values)
	r := &Replay{}
	r.IS, r.OOS = p.Windows()
	runner.Simulate(p.is, &r.MetricsIS)
	r.TradesIS, r.EquityIS = runner.Trace(p.is)
	if p.hasSplit() {
		r.MetricsOOS = &backtest.Metrics{}
		runner.Simulate(p.oos, r.MetricsOOS)
		r.TradesOOS, r.EquityOOS = runner.Trace(p.oos)
	}
	if err := runner.Err(); err != nil {
		return nil, []invalid.FieldError{{Field: "params", Message: "the strategy fails on them: " + err.Error()}}
	}
	return r, nil
}

// Lines are what a strategy draws by itself at the parameters: a value for each bar of the first dataset, NaN where
// trials do not see the bar. There are none of a strategy that does not draw; PlotsOf has those of built-in ones. stop
// is as in Replay.
func (p *Plan) Lines(params map[string]float64, stop func() bool) (lines []backtest.Plot, leftOut int, err error) {
	values, faults := backtest.CheckParams(p.strategy, params)
	if len(faults) > 0 {
		return nil, 0, faults[0]
	}
	runner := p.runner()
	drawer, ok := runner.(backtest.Drawer)
	if !ok {
		p.runners.Put(runner)
		return nil, 0, nil
	}
	runner.OnStop(stop)
	defer func() {
		runner.OnStop(nil)
		p.runners.Put(runner)
	}()
	runner.Prepare(values)
	windows := []backtest.Window{p.is}
	if p.hasSplit() {
		windows = append(windows, p.oos)
	}
	if lines, leftOut, err = drawer.Lines(windows...); err != nil {
		return nil, 0, err
	}
	for i := range lines {
		whole := slices.Repeat([]float64{math.NaN()}, p.history.Len())
		copy(whole[p.offset:], lines[i].Values)
		lines[i].Values = whole
	}
	return lines, leftOut, nil
}
