package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// A limit on the out-of-sample part that excludes better-ranked trials is named by the verdict, with their number.
func TestLimitsOnTheHeldOutPartAreNamedByTheVerdict(t *testing.T) {
	t.Parallel()
	bars := trendingBars(t, 1, 2000)
	free := collect(t, plan(t, searched(backtest.SideBoth, true), bars), 100)
	s := free.Evidence.Selection
	require.Equal(t, "is", s.RankedOn)
	require.Equal(t, "oos", s.LimitsOn)
	require.Zero(t, s.Outranking)

	spec := searched(backtest.SideBoth, true)
	spec.Gates.MinTrades = new(free.Leaderboard[0].MetricsOOS.Trades + 1)
	out := collect(t, plan(t, spec, bars), 100)
	require.NotEmpty(t, out.Leaderboard)
	s = out.Evidence.Selection
	excluded, outranking := 0, 0
	best := *out.BestScore
	for _, entry := range free.Leaderboard {
		if entry.MetricsOOS.Trades < *spec.Gates.MinTrades {
			if excluded++; entry.Score > best {
				outranking++
			}
		}
	}
	require.Positive(t, outranking, "the best trial without the limit is excluded by it")
	require.Equal(t, excluded, s.Excluded)
	require.Equal(t, outranking, s.Outranking)
	found := false
	for _, c := range out.Evidence.Checks {
		if c.Name == "out_of_sample" {
			found = true
			require.Contains(t, c.Statement, "this part helped to choose it")
		}
	}
	require.True(t, found)

	// Ranked out of sample, there is no part left that chose nothing, and no check of one.
	spec.SelectOn = "oos"
	out = collect(t, plan(t, spec, bars), 100)
	require.Equal(t, "oos", out.Evidence.Selection.RankedOn)
	require.Nil(t, out.Evidence.Market.ExcessSharpeOOS)
	spec.SelectOn, spec.OOSRatio = "", nil
	require.Equal(t, "all", collect(t, plan(t, spec, bars), 100).Evidence.Selection.LimitsOn)
}

// Survivors of a sample are held to the level of all trials, as the p-value is: none survives where the best of
// all does not pass.
func TestSurvivorsOfASampleAreHeldToTheLevelOfAllTrials(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.SearchType, spec.NTrials, spec.Constraints, spec.OOSRatio = SearchRandom, new(3000), nil, nil
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(100.0)}, "slow": {Low: new(2.0), High: new(100.0)}}
	spec.Gates = GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(1)}
	raised := false
	for _, seed := range []uint64{6, 7, 8} {
		l := collect(t, plan(t, spec, trendingBars(t, seed, 700)), 1000).Evidence.Luck
		require.Equal(t, *l.PValue <= 0.05, len(l.Survivors) > 0, "seed %d: p-value %v of all trials, %v of the sample, %d survivors", seed, *l.PValue, *l.SPA, len(l.Survivors))
		raised = raised || *l.SPA <= 0.05 && *l.PValue > 0.05
	}
	require.True(t, raised, "no seed has a sample that passes where all trials do not: choose other seeds")
}
