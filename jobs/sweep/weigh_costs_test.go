package sweep

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// charging is a script with a commission of its own, which only an override replaces.
type charging struct{ backtest.Strategy }

const ownCommission = backtest.Commission(0.002)

func (charging) Account() backtest.Account {
	a := backtest.DefaultAccount()
	a.Commission, a.WholeUnits = ownCommission, false
	return a
}

func (charging) Notes(bool) []string { return nil }

func (c charging) Trader(cache *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	if !cfg.Override.Commission {
		cfg.Account.Commission = ownCommission
	}
	return c.Strategy.Trader(cache, cfg)
}

// A script whose request names no commission runs at multiples of its own one, not at its own one always.
func TestCostsOfAScriptAreMultiplesOfItsOwnCommission(t *testing.T) {
	t.Parallel()
	native, _ := backtest.Lookup("sma_cross")
	spec := searched(backtest.SideBoth, true)
	spec.StrategyName, spec.Account = "pine:charging@1", AccountSpec{}
	spec.Bind(charging{native})
	p := plan(t, spec, trendingBars(t, 2, 2000))
	require.False(t, p.config.Override.Commission, "the request names none")
	costs := collect(t, p, 100).Evidence.Costs
	steps := costs.Leaders[0].At
	require.Len(t, steps, len(costTimes))
	for i := 1; i < len(steps); i++ {
		require.Less(t, *steps[i].ReturnPct, *steps[i-1].ReturnPct, "%v times the commission against %v times", steps[i].Times, steps[i-1].Times)
	}
	require.NotNil(t, costs.BreakEven)
	require.InDelta(t, 100**costs.BreakEven*float64(ownCommission), *costs.BreakEvenPct, 1e-12)
	require.Less(t, *costs.BreakEven, 64.0)
}

// The highest commission is not passed by doubling: what still pays there has that one as its break-even cost.
func TestBreakEvenCostIsAtMostTheHighestCommission(t *testing.T) {
	t.Parallel()
	spec := searched(backtest.SideBoth, true)
	spec.OOSRatio = nil
	spec.Account.Commission = new(backtest.Commission(0.002)) // 50 times it are the highest, between doublings
	rng := rand.New(rand.NewPCG(3, 17))
	costs := collect(t, plan(t, spec, barsOf(t, rng, trending(0.05)(rng, 600))), 100).Evidence.Costs
	require.NotNil(t, costs.BreakEven)
	require.Equal(t, 50.0, *costs.BreakEven)
	require.InDelta(t, 100*maxCommission, *costs.BreakEvenPct, 1e-9)
}
