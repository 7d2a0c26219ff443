package sweep

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

func walked(tb testing.TB, bars *backtest.Bars, change func(*Spec)) *WFOOutcome {
	tb.Helper()
	spec := searched(backtest.SideBoth, true)
	spec.OOSRatio = nil
	change(&spec)
	out, _, err := RunWholeWFO(tb.Context(), spec, wfoConfig(500, 200, 200), []Series{{Bars: bars, Calendar: backtest.CalendarExchange}}, 1)
	require.NoError(tb, err)
	require.NotNil(tb, out.Evidence)
	return out
}

func checkNames(e *Evidence) (names []string) {
	for _, c := range e.Checks {
		names = append(names, c.Name)
	}
	return names
}

func TestAWalkForwardFindsAnEdge(t *testing.T) {
	t.Parallel()
	out := walked(t, trendingBars(t, 1, 3000), func(*Spec) {})
	e := out.Evidence
	require.Equal(t, evidence.Robust, e.Verdict, "%+v", e.Checks)
	require.Equal(t, []string{"spa", "dsr", "fold_loss"}, checkNames(e))
	require.Equal(t, 1, e.Luck.Effective, "stitched returns are one trial")
	require.Greater(t, *e.Market.ExcessPSR, 0.95)
	require.Len(t, e.Starts, 6)
	require.Equal(t, out.Curve.Bars[0], int32(barAt(trendingBars(t, 1, 3000), e.Starts[0].From)))
	require.Len(t, e.Regimes, 5)
	require.NotNil(t, e.DetectableSharpe)
}

// Of the walks of a market that nothing predicts at most one in twenty may be called robust.
func TestWalkForwardsOfNoiseAreRarelyCalledRobust(t *testing.T) {
	t.Parallel()
	first, seeds := seedsWanted(t, 12)
	robust := 0
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(first+seed, 19))
		if walked(t, barsOf(t, rng, independent(0, normal)(rng, 2000)), func(*Spec) {}).Evidence.Verdict == evidence.Robust {
			robust++
		}
	}
	require.LessOrEqual(t, float64(robust), 0.05*float64(seeds)+2)
}

// Longs on a rising market earn what the market gives to everyone.
func TestAWalkForwardThatHoldsARisingMarketIsNotSkill(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	out := walked(t, barsOf(t, rng, independent(0.5, normal)(rng, 3000)), func(s *Spec) { s.Side = backtest.SideLong })
	require.Positive(t, out.OOS.ReturnPct)
	require.NotEqual(t, evidence.Robust, out.Evidence.Verdict)
	require.Greater(t, *out.Evidence.Luck.PValue, 0.05)
}

func TestAWalkForwardWithoutTradesIsUndecided(t *testing.T) {
	t.Parallel()
	out := walked(t, trendingBars(t, 1, 2000), func(s *Spec) { s.Gates.MinTrades = new(100_000) })
	require.Equal(t, evidence.Undecided, out.Evidence.Verdict)
	require.Contains(t, out.Evidence.Undefined["verdict"], "do not vary")
}

func TestFewGoodFoldsMakeAWalkForwardFragile(t *testing.T) {
	t.Parallel()
	f := evidence.Stitched{
		Findings: evidence.Findings{PValue: 0.01, DSR: 0.99, SR: 0.1, Periods: 1000, PeriodsPerYear: 252, Statistic: 4, Critical: 2},
		FoldLoss: 0.51,
	}
	require.Equal(t, evidence.Fragile, evidence.JudgeStitched(f).Verdict)
	f.FoldLoss = 0.5
	require.Equal(t, evidence.Robust, evidence.JudgeStitched(f).Verdict)
}

func TestFoldsThatLoseAreCounted(t *testing.T) {
	t.Parallel()
	out := &WFOOutcome{Folds: []FoldOutcome{{Params: map[string]float64{}}, {}, {Params: map[string]float64{}}, {Params: map[string]float64{}}}}
	excess := []float64{1, 2, -9, -9, -1, 0.5, 3}
	require.InDelta(t, 1.0/3, out.foldLoss(excess, []int{2, 4, 6, 7}), 1e-15, "a fold that chose nothing does not count")
}
