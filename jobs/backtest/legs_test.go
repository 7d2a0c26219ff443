package backtest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// Runs that are always in the market, which are cut into legs, have the bits of a walk from bar to bar: in every window,
// with accounts that are ruined on the way or on the last bar, do not pay for an entry, or trade whole units.
func TestRunsInLegsEqualRunsFromBarToBar(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 12))
	var inLegs, ruined, ruinedAtEnd, unpaid int
	for round := range 80 {
		shape := walkShape{
			seed: uint64(round), step: []int64{3_600_000_000, 86_400_000_000}[round%2],
			tick: []float64{0, 0.5}[rng.IntN(2)], vol: []float64{0.003, 0.02, 0.1, 0.4}[rng.IntN(4)],
		}
		bars := walk(t, 30+rng.IntN(1600), shape)
		cfg := backtest.Config{
			Side: backtest.SideBoth, Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
			Account: backtest.Account{
				Cash: []float64{10_000, 1.5e308}[rng.IntN(8)/7], Commission: []backtest.Commission{0, 0.002}[rng.IntN(2)], Slippage: []float64{0, 0.001}[rng.IntN(2)],
				Size: []float64{0.3, 0.9999, 1, 40}[rng.IntN(4)], WholeUnits: rng.IntN(2) == 0, Exclusive: true,
			},
		}
		cache := backtest.NewIndicatorCache(bars)
		for _, strategy := range backtest.Strategies() {
			var runners []*backtest.Runner
			var params []backtest.Params
			var metrics []*backtest.Metrics
			for i := range backtest.Lanes {
				runners = append(runners, strategy.Trader(cache, cfg).(*backtest.Runner))
				params, metrics = append(params, someParams(rng, strategy)), append(metrics, new(backtest.Metrics))
				runners[i].Prepare(params[i])
			}
			alone := strategy.Trader(cache, cfg)
			from := rng.IntN(bars.Len())
			windows := []backtest.Window{{From: from, To: from + 1 + rng.IntN(bars.Len()-from)}}
			for ; len(windows) > 0; windows = windows[1:] {
				w := windows[0]
				backtest.SimulateTogether(runners, w, metrics)
				for i, r := range runners {
					var want backtest.Metrics
					alone.Prepare(params[i])
					alone.Simulate(w, &want)
					require.Equal(t, bits(want), bits(*metrics[i]), "%s %v: %+v, not %+v", strategy.Name(), params[i], *metrics[i], want)
					require.Equal(t, fmt.Sprint(alone.Returns()), fmt.Sprint(r.Returns()))
					_, equity := alone.Trace(w)
					ruin := slices.IndexFunc(equity, func(e float64) bool { return e <= 0 })
					switch {
					case r.RanInLegs(w) && want.Trades > 1:
						inLegs++
					case want.UnpaidOrders > 0:
						unpaid++
					case ruin >= 0 && ruin == w.Len()-1:
						ruinedAtEnd++
					case ruin >= 0:
						ruined++
						windows = append(windows, backtest.Window{From: from, To: from + ruin + 1})
					}
				}
			}
		}
	}
	if backtest.HasLanes() {
		require.Greater(t, inLegs, 300)
	}
	require.Positive(t, ruined)
	require.Positive(t, ruinedAtEnd)
	require.Positive(t, unpaid)
}

// someParams are parameters within their bounds, with periods that fit a few hundred bars.
func someParams(rng *rand.Rand, strategy backtest.Strategy) backtest.Params {
	var p backtest.Params
	for _, spec := range strategy.Params() {
		if spec.Kind == backtest.KindInt {
			p = append(p, spec.Min+float64(rng.IntN(30)))
		} else {
			p = append(p, spec.Min+(math.Min(spec.Max, 70)-spec.Min)*rng.Float64())
		}
	}
	return p
}

// An account that is too much for a number while a position is held, and not when it is closed, has the bits of a walk from bar
// to bar.
func TestRunsInLegsThatAreTooMuchForANumberForAWhile(t *testing.T) {
	t.Parallel()
	passing, again := 0, 0
	for round := range 60 {
		bars := walk(t, 900, walkShape{seed: uint64(round), step: []int64{3_600_000_000, 86_400_000_000}[round%2], vol: []float64{0.01, 0.03, 0.1}[round%3]})
		cfg := backtest.Config{
			Side: backtest.SideBoth, Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
			Account: backtest.Account{Cash: 1.2e308, Size: []float64{0.5, 1}[round/2%2], Exclusive: true},
		}
		cache := backtest.NewIndicatorCache(bars)
		rng := rand.New(rand.NewPCG(uint64(round), 3))
		for _, strategy := range backtest.Strategies() {
			var runners []*backtest.Runner
			var params []backtest.Params
			var metrics []*backtest.Metrics
			for i := range backtest.Lanes {
				runners = append(runners, strategy.Trader(cache, cfg).(*backtest.Runner))
				params, metrics = append(params, someParams(rng, strategy)), append(metrics, new(backtest.Metrics))
				runners[i].Prepare(params[i])
				runners[i].KeepReturns(round/4%2 == 0)
			}
			alone := strategy.Trader(cache, cfg)
			w := backtest.Window{From: rng.IntN(200), To: 300 + rng.IntN(601)}
			backtest.SimulateTogether(runners, w, metrics)
			for i, r := range runners {
				var want backtest.Metrics
				alone.Prepare(params[i])
				alone.Simulate(w, &want)
				require.Equal(t, bits(want), bits(*metrics[i]), "%s %v: %+v, not %+v", strategy.Name(), params[i], *metrics[i], want)
				require.Equal(t, fmt.Sprint(alone.Returns()), fmt.Sprint(r.Returns()))
				_, equity := alone.Trace(w)
				times := 0
				for k := 1; k < len(equity); k++ {
					if math.IsInf(equity[k-1], 1) && !math.IsInf(equity[k], 1) {
						times++
					}
				}
				if times > 0 && !math.IsInf(want.FinalEquity, 0) {
					passing++
				}
				if times > 1 {
					again++
				}
			}
		}
	}
	require.Greater(t, passing, 100)
	require.Greater(t, again, 100)
}
