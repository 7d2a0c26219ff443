package sweep

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// randomWalk is n daily bars of a log-normal walk without drift.
func randomWalk(tb testing.TB, n int, seed uint64) *backtest.Bars {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var at []int64
	var open, high, low, closes, volume []float64
	price := 100.0
	for i := range n {
		o := price
		price *= math.Exp(0.01 * rng.NormFloat64())
		top := max(o, price) * (1 + 0.003*rng.Float64())
		bottom := min(o, price) * (1 - 0.003*rng.Float64())
		at = append(at, int64(i)*86_400_000_000)
		open, high, low, closes = append(open, o), append(high, top), append(low, bottom), append(closes, price)
		volume = append(volume, 1000)
	}
	bars, err := backtest.NewBars(at, open, high, low, closes, volume)
	require.NoError(tb, err)
	return bars
}

// crossSpec is a grid of fast and slow averages with a split and lenient gates.
func crossSpec() Spec {
	return Spec{
		StrategyName: "sma_cross",
		ParamSpace: map[string]Range{
			"fast": {Low: new(5.0), High: new(50.0), Step: new(5.0)},
			"slow": {Values: []float64{20, 50, 100, 150}},
		},
		Constraints: []string{"fast < slow"},
		OOSRatio:    new(0.3),
		Gates:       GateLimits{MaxDrawdownPct: new(60.0), MinTrades: new(2)},
	}
}

func plan(tb testing.TB, spec Spec, bars *backtest.Bars) *Plan {
	tb.Helper()
	p, errs := NewPlan(spec, bars, backtest.CalendarExchange)
	require.Empty(tb, errs)
	return p
}

// allParams are the parameters of every trial of the plan, in order.
func allParams(p *Plan) []backtest.Params {
	var all []backtest.Params
	for _, sh := range p.Shards(max(p.Trials(), 1)) {
		for _, params := range p.Params(sh) {
			all = append(all, append(backtest.Params(nil), params...))
		}
	}
	return all
}
