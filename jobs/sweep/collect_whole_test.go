package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A shard that is all of a tune is ranked without being encoded as it is with, whatever its trials did.
func TestAWholeShardIsRankedAsItsBytesAre(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 900, 5)
	rapid.Check(t, func(rt *rapid.T) {
		spec := crossSpec()
		spec.SelectOn = rapid.SampledFrom([]string{SelectInSample, SelectOutOfSample}).Draw(rt, "select on")
		spec.Gates.MaxDrawdownPct, spec.Gates.MinTrades = new(rapid.Float64Range(5, 60).Draw(rt, "drawdown")), new(rapid.IntRange(0, 20).Draw(rt, "trades"))
		fold := rapid.Bool().Draw(rt, "fold")
		if fold {
			spec = spec.OfFold(Fold{TrainTest: TrainTest{day(0), day(600), day(900)}})
		}
		p := plan(t, spec, bars)
		shards, most := p.Shards(p.Trials()), rapid.IntRange(1, p.Trials()).Draw(rt, "leaders")
		require.Len(t, shards, 1)
		result, err := p.RunShard(t.Context(), shards[0], func(int) {})
		require.NoError(t, err)
		columns, top, stats, err := result.Encode()
		require.NoError(t, err)
		want, err := Collect(p, shards, func(int) ([]byte, []byte, []byte, error) { return columns, top, stats, nil })
		require.NoError(t, err)
		got, err := CollectWhole(p, result, most)
		require.NoError(t, err)
		if !fold {
			most = leaders
		}
		want.Leaderboard = want.Leaderboard[:min(most, len(want.Leaderboard))]
		require.True(t, asJSON(t, want) == asJSON(t, got), "the outcomes differ")
		require.Equal(t, want.TrialsSum, got.TrialsSum)
	})
	p := plan(t, crossSpec(), bars)
	half, err := p.RunShard(t.Context(), p.Shards(p.Trials() / 2)[0], func(int) {})
	require.NoError(t, err)
	_, err = CollectWhole(p, half, leaders)
	require.ErrorContains(t, err, "is not the whole")
}
