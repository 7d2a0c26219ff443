package sweep

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// Leaders whose metrics were not kept are run again, and have those that were kept: of one dataset and of several, with a split and
// without, and however many of them there are.
func TestLeadersThatAreRunAgainHaveWhatWasKept(t *testing.T) {
	t.Parallel()
	walk, other := Series{Name: "a", Bars: randomWalk(t, 1500, 1), Calendar: backtest.CalendarExchange}, Series{Name: "b", Bars: randomWalk(t, 1500, 2), Calendar: backtest.CalendarExchange}
	for _, strategy := range []string{"sma_cross", "bb_reversal"} {
		for _, split := range []bool{false, true} {
			for _, several := range []bool{false, true} {
				t.Run(fmt.Sprint(strategy, split, several), func(t *testing.T) {
					t.Parallel()
					spec, data := crossSpec(), []Series{walk}
					spec.StrategyName, spec.OOSRatio = strategy, nil
					spec.Gates = GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(0)}
					if strategy == "bb_reversal" {
						spec.Constraints = nil
						spec.ParamSpace = map[string]Range{"period": {Low: new(5.0), High: new(20.0)}, "width": {Low: new(1.0), High: new(2.0), Step: new(0.1)}}
					}
					if split {
						spec.OOSRatio = new(0.3)
					}
					if several {
						spec.Datasets, data = []string{"a", "b"}, []Series{walk, other}
					}
					p := planOver(t, spec, data)
					shards := p.Shards(50)
					results := runAll(t, p, shards)
					load := func(top func(i int) []byte) string {
						out, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) { return results[i].columns, top(i), results[i].stats, nil })
						require.NoError(t, err)
						require.NotEmpty(t, out.Leaderboard)
						body, err := json.Marshal(out)
						require.NoError(t, err)
						return string(body)
					}
					none := []byte{0, 0, 0, 0}
					kept := load(func(i int) []byte { return results[i].top })
					require.Equal(t, kept, load(func(int) []byte { return none }))
					require.Equal(t, kept, load(func(i int) []byte {
						if i%2 == 0 {
							return none
						}
						return results[i].top
					}))
				})
			}
		}
	}
}

// A score that comes out otherwise when a leader is run again is an error.
func TestALeaderThatScoresOtherwiseWhenRunAgain(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 1500, 1))
	shards := p.Shards(p.Trials())
	results := runAll(t, p, shards)
	all, err := gather(p, shards, nil, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, []byte{0, 0, 0, 0}, results[i].stats, nil
	})
	require.NoError(t, err)
	out := &Outcome{Reasons: map[string]int{}}
	out.count(p, all.cols)
	all.rank(p, &out.Counts)
	all.cols.scores[0][all.ranking[0]]++
	require.ErrorContains(t, p.lead(out, all, leaders), "another version")
}
