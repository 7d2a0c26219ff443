package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What trials do in sample does not depend on the bars that are kept for judging: it is the same
// where those bars do not exist, and where they are others.
func TestInSampleResultsDoNotDependOnLaterBars(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1000, 5)
	split := crossSpec()
	split.OOSRatio = new(0.3)
	split.Gates = GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(0)}
	whole := split
	whole.OOSRatio = nil
	scores := func(p *Plan) map[int]*float64 {
		found := map[int]*float64{}
		for _, sh := range p.Shards(7) {
			result, err := p.RunShard(t.Context(), sh, func(int) {})
			require.NoError(t, err)
			columns, _, _, err := result.Encode()
			require.NoError(t, err)
			trials, err := DecodeColumns(p.spec, sh, columns)
			require.NoError(t, err)
			for _, trial := range trials {
				found[trial.Index] = trial.ScoreIS
			}
		}
		return found
	}
	want := scores(plan(t, split, bars))
	require.Len(t, want, plan(t, split, bars).Trials())
	require.Equal(t, want, scores(plan(t, whole, bars.Slice(0, 700))))
	other := randomWalk(t, 1000, 6)
	copy(other.Open, bars.Open[:700])
	copy(other.High, bars.High[:700])
	copy(other.Low, bars.Low[:700])
	copy(other.Close, bars.Close[:700])
	require.Equal(t, want, scores(plan(t, split, other)))
}
