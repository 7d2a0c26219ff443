package sweep

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

func trendingBars(tb testing.TB, seed uint64, n int) *backtest.Bars {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 17))
	return barsOf(tb, rng, trending(0.003)(rng, n))
}

func TestMirroredTrialsLeaveTheVerdict(t *testing.T) {
	t.Parallel()
	bars := trendingBars(t, 1, 2000)
	plain := verdictOf(t, searched(backtest.SideBoth, true), bars)
	mirrored := verdictOf(t, searched(backtest.SideBoth, false), bars)
	require.Equal(t, evidence.Robust, plain.Verdict)
	require.Equal(t, plain.Verdict, mirrored.Verdict)
	// Mirrored trials lose all they have on such a market, so that they are not quite opposite.
	require.Less(t, mirrored.Luck.Effective, 21)
	require.Equal(t, 21, plain.Luck.Sampled)
	require.Equal(t, 42, mirrored.Luck.Sampled)
}

// A strategy that is always long beats zero on a rising market, and not buy-and-hold.
func TestHoldingARisingMarketIsNotSkill(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	bars := barsOf(t, rng, independent(0.5, normal)(rng, 3000))
	spec := searched(backtest.SideLong, true)
	out := collect(t, plan(t, spec, bars), 100)
	require.Greater(t, *out.Overfit.PSR, 0.99, "against zero it looks like skill")
	require.NotEqual(t, evidence.Robust, out.Evidence.Verdict)
	require.Greater(t, *out.Evidence.Luck.PValue, 0.05)
	require.Greater(t, *out.Evidence.Market.Beta, 0.3)
	require.Greater(t, *out.Evidence.Market.DriftPct, 30.0)
}

func TestExcessEndsAtTheBreakEvenCost(t *testing.T) {
	t.Parallel()
	spec := searched(backtest.SideBoth, true)
	spec.Account.Commission = new(backtest.Commission(0.002))
	p := plan(t, spec, trendingBars(t, 2, 2000))
	out := collect(t, p, 100)
	costs := out.Evidence.Costs
	require.NotNil(t, costs.BreakEven)
	require.InDelta(t, 100**costs.BreakEven*0.002, *costs.BreakEvenPct, 1e-12)
	params, errs := backtest.CheckParams(p.strategy, out.BestParams)
	require.Empty(t, errs)
	alpha := func(times float64) float64 {
		returns, err := p.returnsOf([]backtest.Trader{p.traderWith(p.scaled(times))}, params, false)
		require.NoError(t, err)
		market, _ := evidence.Regress(returns, p.held(false))
		return market.Alpha
	}
	require.Positive(t, alpha(*costs.BreakEven*0.97))
	require.Negative(t, alpha(*costs.BreakEven*1.03))

	require.Len(t, costs.Leaders, leadersCosts)
	for _, leader := range costs.Leaders {
		require.Equal(t, 1.0, leader.At[2].Times)
		for i := 1; i < len(leader.At); i++ {
			require.Less(t, *leader.At[i].ReturnPct, *leader.At[i-1].ReturnPct, "higher costs leave less")
		}
	}
	require.Equal(t, *out.BestScore, *costs.Leaders[0].At[2].Score)
}

func TestShardsOfAnOlderVersionHaveNoVerdict(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 600, 1))
	shards := p.Shards(10)
	results := runAll(t, p, shards)
	out, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		stats := results[i].stats
		blocks := 8 * shards[i].Trials
		rows := int(binary.LittleEndian.Uint32(stats[blocks:]))
		return results[i].columns, results[i].top, stats[:blocks+4+rows*blockRowBytes], nil
	})
	require.NoError(t, err)
	require.Equal(t, evidence.Undecided, out.Evidence.Verdict)
	require.Contains(t, out.Evidence.Undefined["verdict"], "an older version")

	_, err = Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats[:len(results[i].stats)-1], nil
	})
	require.ErrorContains(t, err, "cut short")
}

func TestSearchesThatNothingCanBeSaidOf(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 800, 3)
	one := crossSpec()
	one.ParamSpace = map[string]Range{"fast": {Values: []float64{10}}, "slow": {Values: []float64{50}}}
	e := collect(t, plan(t, one, bars), 10).Evidence
	require.Equal(t, 1, e.Luck.Effective)
	require.Contains(t, e.Undefined["paths"], "fewer than two trials")

	// A stop distance that nothing reaches leaves every trial the same.
	same := one
	same.ParamSpace = map[string]Range{"fast": {Values: []float64{10}}, "slow": {Values: []float64{50, 50.0}}}
	if p, errs := NewPlan(same, bars, backtest.CalendarExchange); len(errs) == 0 {
		require.Equal(t, 1, collect(t, p, 10).Evidence.Luck.Effective)
	}

	none := crossSpec()
	none.Gates.MinTrades = new(100_000)
	require.Nil(t, collect(t, plan(t, none, bars), 10).Evidence)
}

func TestDatasetsOfDifferentLengthsHaveNoVerdict(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.Datasets = []string{"a", "b"}
	over := func(second *backtest.Bars) *Evidence {
		p, errs := NewPlanOver(spec, []Series{
			{"a", randomWalk(t, 700, 1), backtest.CalendarExchange}, {"b", second, backtest.CalendarExchange},
		})
		require.Empty(t, errs)
		return collect(t, p, 10).Evidence
	}
	require.Contains(t, over(randomWalk(t, 600, 2)).Undefined["verdict"], "differ in their number of periods")
	require.NotNil(t, over(randomWalk(t, 700, 2)).Luck.PValue)
}

func TestFoldsHaveNoVerdict(t *testing.T) {
	t.Parallel()
	require.Zero(t, (&Plan{spec: Spec{Window: &TrainTest{}}}).panelSampler().below)
}
