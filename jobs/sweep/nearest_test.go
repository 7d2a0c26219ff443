package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// nearestOf looks through a plan's trials in shards of a size.
func nearestOf(t *testing.T, p *Plan, spec Spec, size, most int) NearMiss {
	t.Helper()
	shards := p.Shards(size)
	results := runAll(t, p, shards)
	n := NewNearest(spec, most)
	for i, sh := range shards {
		c, err := OpenColumns(spec, sh, results[i].columns)
		require.NoError(t, err)
		n.Add(c)
	}
	return n.Result()
}

// A tune whose limits nobody meets names the limits that admit the nearest: with them, at least those
// are on the leaderboard, in the same order.
func TestRelaxedLimitsAdmitTheNearestTrials(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1500, 3)
	for name, limits := range map[string]GateLimits{
		"drawdown":        {MaxDrawdownPct: new(0.5), MinTrades: new(0)},
		"trades":          {MinTrades: new(500)},
		"both":            {MaxDrawdownPct: new(0.5), MinTrades: new(500)},
		"no drawdown":     {MaxDrawdownPct: new(0.0), MinTrades: new(1)},
		"without a split": {MaxDrawdownPct: new(1.0)},
	} {
		spec := crossSpec()
		spec.Gates = limits
		if name == "without a split" {
			spec.OOSRatio = nil
		}
		p := plan(t, spec, bars)
		before := collect(t, p, 7)
		require.Empty(t, before.Leaderboard, name)
		near := nearestOf(t, p, spec, 7, 5)
		require.Equal(t, p.Trials(), near.TooDeep+near.TooFewTrades, name)
		require.Len(t, near.Trials, 5, name)
		require.Equal(t, near, nearestOf(t, p, spec, 1, 5), "%s: it depends on the shards", name)

		relaxed := spec
		relaxed.Gates = limits
		if near.Relaxed.MaxDrawdownPct != nil {
			relaxed.Gates.MaxDrawdownPct = near.Relaxed.MaxDrawdownPct
		}
		if near.Relaxed.MinTrades != nil {
			relaxed.Gates.MinTrades = near.Relaxed.MinTrades
		}
		ranks := map[int]int{}
		for _, entry := range collect(t, plan(t, relaxed, bars), 7).Leaderboard {
			ranks[entry.TrialIndex] = entry.Rank
		}
		last := 0
		for _, trial := range near.Trials {
			require.Greater(t, ranks[trial.Index], last, "%s: trial %d is not admitted, or not best first", name, trial.Index)
			last = ranks[trial.Index]
		}
	}
}

// Limits have nothing to do with a trial that never traded: nothing is offered.
func TestNoLimitIsOfferedForTrialsWithoutAScore(t *testing.T) {
	t.Parallel()
	spec := Spec{StrategyName: "rsi_reversal", ParamSpace: map[string]Range{"oversold": {Values: []float64{1, 2}}}, Side: "long"}
	near := nearestOf(t, plan(t, spec, randomWalk(t, 400, 1)), spec, 2, 10)
	require.Zero(t, near.TooDeep+near.TooFewTrades)
	require.Empty(t, near.Trials)
	require.Equal(t, GateLimits{}, near.Relaxed)
}

// A request that names no gate has no limit on the drawdown and one of five trades, of tunes and folds alike.
func TestDefaultGatesHaveNoDrawdownLimit(t *testing.T) {
	t.Parallel()
	var spec Spec
	spec.Normalize()
	require.InDelta(t, 100.0, *spec.Gates.MaxDrawdownPct, 0)
	require.Equal(t, 5, *spec.Gates.MinTrades)
}
