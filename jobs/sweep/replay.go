package sweep

import (
	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// Replay is one trial run again to show its equity at each bar's close and its trades, in sample and
// out of sample. Each part begins with the account's cash.
type Replay struct {
	IS, OOS             backtest.Window // of the dataset's bars; OOS is empty without a split
	EquityIS, EquityOOS []float64
	TradesIS, TradesOOS []backtest.Trade
}

// Replay runs one trial again. A parameter that is not named takes its default.
func (p *Plan) Replay(params map[string]float64) (*Replay, []invalid.FieldError) {
	values, faults := backtest.CheckParams(p.strategy, params)
	if len(faults) > 0 {
		return nil, faults
	}
	runner := p.runner()
	defer p.runners.Put(runner)
	runner.Prepare(values)
	r := &Replay{}
	r.IS, r.OOS = p.Windows()
	r.TradesIS, r.EquityIS = runner.Trace(p.is)
	r.TradesOOS, r.EquityOOS = runner.Trace(p.oos)
	if err := runner.Err(); err != nil {
		return nil, []invalid.FieldError{{Field: "params", Message: "the strategy fails on them: " + err.Error()}}
	}
	return r, nil
}
