package pine

import (
	"fmt"
	"math"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/ir"
)

var _ backtest.Drawer = (*trader)(nil)

// withPlots compiles the source again, with what it plots.
func (p *Program) withPlots(source string) (drawn *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			drawn, err = nil, failure(r)
		}
	}()
	drawn, diags := compile(source, ir.LowerPlots)
	if drawn == nil {
		for _, d := range diags {
			if d.Severity == "error" {
				return nil, fmt.Errorf("what the script plots cannot be computed: line %d: %s", d.Line, d.Message)
			}
		}
		return nil, fmt.Errorf("what the script plots cannot be computed")
	}
	if len(drawn.ir.Inputs) != len(p.ir.Inputs) {
		return nil, fmt.Errorf("what the script plots cannot be computed: its inputs are others")
	}
	return drawn, nil
}

// Lines implements backtest.Drawer. The script runs on every bar, with its plots, and trades the windows one after the
// other: what it plots of its position is what it was there.
func (t *trader) Lines(windows ...backtest.Window) (plots []backtest.Plot, leftOut int, err error) {
	defer func() {
		if r := recover(); r != nil {
			plots, leftOut, err = nil, 0, failure(r)
		}
	}()
	if t.err != nil {
		return nil, 0, t.err
	}
	program, err := t.strategy.program.drawn()
	if err != nil || len(program.ir.Plots) == 0 {
		return nil, 0, err
	}
	drawer := newTrader(&Strategy{name: t.strategy.name, program: program, account: t.strategy.account}, t.cache, t.cfg, t.market)
	if err := drawer.ready(); err != nil {
		return nil, 0, err
	}
	run := drawer.run
	run.plain, run.stop = true, t.stop
	if err := run.Prepare(t.params); err != nil {
		return nil, 0, err
	}
	for _, p := range program.ir.Plots {
		plots = append(plots, backtest.Plot{Name: p.Title, Values: unknown(t.bars.Len()), Pane: !p.Price})
	}
	from, end := 0, 0
	for _, w := range windows {
		end = max(end, w.To)
	}
	run.plotted = func(m *machine, bar int) {
		for k, reg := range m.c.results {
			if at := bar + program.ir.Plots[k].Offset; bar >= from && at >= 0 && at < end {
				plots[k].Values[at] = m.regs[reg]
			}
		}
	}
	for _, w := range windows {
		run.equity = make([]float64, w.Len()) // a ruined account trades no more
		if err := run.simulate(w); err != nil {
			return nil, 0, err
		}
		from = w.To
	}
	return plots, program.ir.PlotsLeftOut, nil
}

// unknown are n values that are not there.
func unknown(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.NaN()
	}
	return values
}
