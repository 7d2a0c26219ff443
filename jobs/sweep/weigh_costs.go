package sweep

import (
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// CostFigures are the leaders at other costs, and how much the best trial can bear.
type CostFigures struct {
	Leaders []CostLeader `json:"leaders"`
	// BreakEven is the multiple of the costs charged at which the best trial's excess over buy-and-hold
	// is gone, at most 64; nil when none are charged.
	BreakEven *float64 `json:"break_even"`
	// BreakEvenPct is the same as a cost of one side, commission and slippage, in percent of the price.
	BreakEvenPct *float64 `json:"break_even_pct"`
}

// CostLeader is one leader on the part that selects, at multiples of its costs.
type CostLeader struct {
	TrialIndex int        `json:"trial_index"`
	At         []CostStep `json:"at"`
}

// CostStep is a leader at one multiple of its costs.
type CostStep struct {
	Times     float64  `json:"times"`
	Score     *float64 `json:"score"`
	ReturnPct *float64 `json:"return_pct"`
	Sharpe    *float64 `json:"sharpe"`
}

var costTimes = [...]float64{0, 0.5, 1, 2, 4}

// costs runs the leaders at other costs and looks for the cost that the best one can bear.
func (w *weighing) costs(out *Outcome) (err error) {
	p := w.plan
	f := &CostFigures{}
	for i := range min(leadersCosts, len(out.Leaderboard)) {
		entry := &out.Leaderboard[i]
		params, faults := backtest.CheckParams(p.strategy, entry.Params)
		if len(faults) > 0 {
			continue
		}
		known := w.kept.costsOf(entry.TrialIndex)
		if known.steps == nil {
			if known.steps, err = w.atCosts(params); err != nil {
				return err
			}
		}
		f.Leaders = append(f.Leaders, CostLeader{entry.TrialIndex, known.steps})
	}
	w.out.Costs = f
	charged := p.charged()
	var times float64
	if known := w.kept.costsOf(out.Leaderboard[0].TrialIndex).breakEven; known != nil {
		times = *known
	} else if times, err = w.breakEven(); err != nil {
		return err
	}
	switch {
	case math.IsNaN(times):
		w.out.explain("break_even", "the best trial does not beat buy-and-hold without any costs")
	case charged > 0:
		f.BreakEven, f.BreakEvenPct = &times, defined(100*times*charged)
		w.found.BreakEven = times
	default:
		f.BreakEvenPct = defined(100 * times * maxCommission / maxCostTimes)
		w.out.explain("break_even", "no costs are charged")
	}
	return nil
}

// charged is what one side costs, as a share of the price.
func (p *Plan) charged() float64 {
	return float64(p.config.Account.Commission) + p.config.Account.Slippage
}

// atCosts backtests the part that selects at each multiple of the costs charged.
func (w *weighing) atCosts(params backtest.Params) (steps []CostStep, err error) {
	for _, times := range costTimes {
		if err := w.mayRun(); err != nil {
			return nil, err
		}
		steps = append(steps, w.atCost(params, times))
	}
	return steps, nil
}

// mayRun is an error when no other run is to begin.
func (w *weighing) mayRun() error {
	if w.ended == nil {
		return nil
	}
	return w.ended()
}

// atCost backtests the part that selects at a multiple of the costs charged.
func (w *weighing) atCost(params backtest.Params, times float64) CostStep {
	p := w.plan
	parts := make([]backtest.Metrics, len(p.sets))
	for i, s := range p.sets {
		trader := w.traderAt(s, i, p.scaled(times))
		trader.Prepare(params)
		trader.Simulate(s.selecting(&p.spec), &parts[i])
	}
	var scores []float64
	for i := range parts {
		scores = append(scores, p.spec.score(&parts[i]))
	}
	m := p.spec.aggregateMetrics(parts, nil)
	return CostStep{
		Times: times, Score: defined(p.spec.aggregate(scores, false)),
		ReturnPct: defined(m.ReturnPct), Sharpe: defined(m.Sharpe),
	}
}

// scaled is the run's configuration at a multiple of its costs.
func (p *Plan) scaled(times float64) backtest.Config {
	cfg := p.config
	cfg.Account.Commission = backtest.Commission(float64(cfg.Account.Commission) * times)
	cfg.Account.Slippage *= times
	cfg.Override.Commission = true // a script's own slippage is in ticks and stays
	return cfg
}

func (w *weighing) traderAt(s *series, i int, cfg backtest.Config) backtest.Trader {
	cfg.Calendar = s.config.Calendar
	if cfg.Account == s.config.Account {
		return w.traders[i]
	}
	return s.traderWith(cfg)
}

// breakEven is the multiple of the costs, up to top, at which the mean excess of the best trial is
// zero; NaN when it is not above zero without costs. Without costs charged it is in units of the
// highest commission over the highest multiple.
func (w *weighing) breakEven() (float64, error) {
	charged, top := w.plan.charged(), float64(maxCostTimes)
	if charged > 0 {
		top = min(top, maxCommission/charged)
	}
	alpha := func(times float64) (float64, error) {
		if err := w.mayRun(); err != nil {
			return 0, err
		}
		cfg := w.plan.scaled(times)
		if charged == 0 {
			cfg.Account.Commission = backtest.Commission(maxCommission * times / maxCostTimes)
		}
		traders := make([]backtest.Trader, len(w.traders))
		for i, s := range w.plan.sets {
			traders[i] = w.traderAt(s, i, cfg)
		}
		returns, err := w.plan.returnsOf(traders, w.best, false)
		if err != nil {
			return 0, err
		}
		return evidence.Alpha(returns, w.held), nil
	}
	if free, err := alpha(0); err != nil || !(free > 0) {
		return math.NaN(), err
	}
	low, high := 0.0, 0.5
	for {
		value, err := alpha(high)
		if err != nil {
			return 0, err
		}
		if !(value > 0) {
			break
		}
		if low = high; low == top {
			return top, nil
		}
		high = min(2*high, top)
	}
	for range costSteps {
		middle := (low + high) / 2
		value, err := alpha(middle)
		if err != nil {
			return 0, err
		}
		if value > 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// RegimeFigures are the best trial's returns while the market was in one state.
type RegimeFigures struct {
	Name      string   `json:"name"` // rising, falling; calm, normal, volatile
	Periods   int      `json:"periods"`
	ReturnPct *float64 `json:"return_pct"` // sum of the periods' returns
	HoldPct   *float64 `json:"hold_pct"`   // the same of buy-and-hold
	Sharpe    *float64 `json:"sharpe"`
}

// regimeSpan is how many periods back a state is read from.
const regimeSpan = 20

// regimes splits the best trial's returns by what the market had done over the 20 periods before: its
// direction, and its volatility by thirds.
func (w *weighing) regimes() {
	if len(w.held) < 5*regimeSpan {
		return
	}
	s := w.states
	if s == nil {
		s = statesOf(w.held)
	}
	w.regime("rising", func(t int) bool { return s.trend[t] > 0 })
	w.regime("falling", func(t int) bool { return s.trend[t] <= 0 })
	w.regime("calm", func(t int) bool { return s.swing[t] < s.low })
	w.regime("normal", func(t int) bool { return s.swing[t] >= s.low && s.swing[t] < s.high })
	w.regime("volatile", func(t int) bool { return s.swing[t] >= s.high })
}

// states are what the market had done over the 20 periods before each period. They are read only.
type states struct {
	trend, swing []float64 // mean and deviation of the returns of buy-and-hold
	low, high    float64   // thirds of swing
}

// statesOf needs 5·regimeSpan periods.
func statesOf(held []float64) *states {
	s := &states{trend: make([]float64, len(held)), swing: make([]float64, len(held))}
	for t := regimeSpan; t < len(held); t++ {
		m := evidence.Describe(held[t-regimeSpan : t])
		s.trend[t], s.swing[t] = m.Mean, m.Deviation
	}
	sorted := slices.Sorted(slices.Values(s.swing[regimeSpan:]))
	s.low, s.high = sorted[len(sorted)/3], sorted[len(sorted)*2/3]
	return s
}

func (w *weighing) regime(name string, in func(t int) bool) {
	var own []float64
	var sum, hold float64
	for t := regimeSpan; t < len(w.held); t++ {
		if in(t) {
			own = append(own, w.panel.Returns[w.row][t])
			sum, hold = sum+w.panel.Returns[w.row][t], hold+w.held[t]
		}
	}
	f := RegimeFigures{Name: name, Periods: len(own), ReturnPct: defined(100 * sum), HoldPct: defined(100 * hold)}
	if len(own) > 1 {
		f.Sharpe = defined(evidence.Describe(own).SR() * w.year)
	}
	w.out.Regimes = append(w.out.Regimes, f)
}
