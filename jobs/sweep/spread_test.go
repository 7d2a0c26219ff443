package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

// Trials from all over a search are those that its shards have there, each once.
func TestASpreadHasTrialsOfTheWholeSearch(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 2)
	rapid.Check(t, func(rt *rapid.T) {
		spec := crossSpec()
		spec.ParamSpace["fast"] = Range{Low: new(2.0), High: new(float64(rapid.IntRange(2, 140).Draw(rt, "fast")))}
		p := plan(t, spec, bars)
		all, wanted := allParams(p), rapid.IntRange(1, 300).Draw(rt, "trials")
		last, ran := -1, 0
		for _, sh := range p.Spread(wanted) {
			require.Greater(t, sh.First, last)
			for trial, params := range p.Params(sh) {
				require.Equal(t, all[trial], params)
				last = trial
			}
			require.Equal(t, sh.First+sh.Trials-1, last)
			ran += sh.Trials
		}
		require.LessOrEqual(t, ran, min(wanted, p.Trials()))
		require.Greater(t, 2*ran, min(wanted, p.Trials()))
	})
}

// A grid whose last axis fits its stretches shows that axis all over too.
func TestASpreadIsNotOnOneSideOfAGrid(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.Constraints, spec.ParamSpace = nil, map[string]Range{"fast": {Low: new(2.0), High: new(17.0)}, "slow": {Low: new(20.0), High: new(219.0)}}
	p := plan(t, spec, randomWalk(t, 700, 2))
	var low, high int
	for _, sh := range p.Spread(16 * backtest.Lanes) {
		for _, params := range p.Params(sh) {
			if params[1] < 120 {
				low++
			} else {
				high++
			}
		}
	}
	require.InDelta(t, 64, low, 24)
	require.InDelta(t, 64, high, 24)
}
