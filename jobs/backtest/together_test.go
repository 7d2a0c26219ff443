package backtest_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

// Runs side by side have the bits that each has alone: with every strategy, side, policy, account and window, with kept
// returns or without, and however many there are.
func TestRunsSideBySideEqualRunsAlone(t *testing.T) {
	t.Parallel()
	ruined, idle := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		bars := drawnBars(t, rapid.IntRange(1, 1700).Draw(t, "bars"))
		strategy, cfg := rapid.SampledFrom(backtest.Strategies()).Draw(t, "strategy"), drawnConfig(t)
		if rapid.Bool().Draw(t, "random policy") {
			cfg.Policy, cfg.Seed = backtest.PolicyRandom, 7
		}
		if rapid.IntRange(0, 3).Draw(t, "reckless") == 0 { // prices that ruin who is short for long
			bars = walk(t, max(bars.Len(), 400), walkShape{seed: rapid.Uint64().Draw(t, "prices"), step: 86_400_000_000, vol: 0.6})
			cfg.Side, cfg.Account.Size, cfg.Account.WholeUnits = backtest.SideBoth, 1, false
		}
		cache := backtest.NewIndicatorCache(bars)
		runners := make([]*backtest.Runner, rapid.IntRange(1, backtest.Lanes).Draw(t, "runs"))
		params, metrics := make([]backtest.Params, len(runners)), make([]*backtest.Metrics, len(runners))
		for i := range runners {
			runners[i], metrics[i] = strategy.Trader(cache, cfg).(*backtest.Runner), new(backtest.Metrics)
			params[i] = drawnParams(t, strategy)
		}
		backtest.PrepareTogether(runners, params)
		alone := strategy.Trader(cache, cfg)
		for range 2 { // the second time with the memory of the first
			from := rapid.IntRange(0, bars.Len()-1).Draw(t, "from")
			w := backtest.Window{From: from, To: rapid.IntRange(from, bars.Len()).Draw(t, "to")}
			keep := rapid.IntRange(0, 1<<len(runners)-1).Draw(t, "keep")
			for i, r := range runners {
				r.KeepReturns(keep>>i&1 == 1)
			}
			backtest.SimulateTogether(runners, w, metrics)
			for i, r := range runners {
				var want backtest.Metrics
				alone.KeepReturns(false)
				alone.Prepare(params[i])
				alone.Simulate(w, &want)
				require.Equal(t, bits(want), bits(*metrics[i]), "metrics of run %d of %d: %+v, not %+v", i, len(runners), *metrics[i], want)
				if w.Len() == 0 {
					continue // it has no returns
				}
				returns := alone.Returns()
				require.Len(t, r.Returns(), len(returns))
				for k, v := range r.Returns() {
					require.Equal(t, math.Float64bits(returns[k]), math.Float64bits(v), "return %d of run %d", k, i)
				}
				if want.FinalEquity <= 0 {
					ruined++
				}
				if want.Trades > 0 && want.ExposurePct < 50 {
					idle++
				}
			}
		}
	})
	require.Positive(t, ruined, "no run was ruined")
	require.Positive(t, idle, "no run was idle for half of its bars")
}

// bits are the fields of metrics; those of fractions by their bits, as one that is undefined is not equal to itself.
func bits(m backtest.Metrics) []uint64 {
	var all []uint64
	for v, i := reflect.ValueOf(m), 0; i < v.NumField(); i++ {
		if f := v.Field(i); f.Kind() == reflect.Float64 {
			all = append(all, math.Float64bits(f.Float()))
		} else {
			all = append(all, uint64(f.Int()))
		}
	}
	return all
}
