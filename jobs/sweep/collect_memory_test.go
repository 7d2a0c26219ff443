package sweep

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Collect allocates little more than each trial's row, twice: as it is stored and as it is read; and the leaders and the ranking in
// JSON. Of a million trials another copy is 57 MB in the worker that collects them. It runs beside no other test, whose memory would count.
func TestCollectKeepsNoFurtherCopyOfTheTrials(t *testing.T) {
	p, shards, parts := manyTrials(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Collect(p, shards, parts.load)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	each := float64(after.TotalAlloc-before.TotalAlloc) / float64(p.Trials())
	t.Logf("%.0f bytes a trial", each)
	require.Less(t, each, 310.0)
}

func manyTrials(tb testing.TB) (*Plan, []Shard, *parts) {
	tb.Helper()
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(501.0)}, "slow": {Low: new(2.0), High: new(301.0)}}
	spec.Constraints, spec.NTrials = nil, new(150_000)
	p := plan(tb, spec, randomWalk(tb, 500, 1))
	shards := p.Shards(10_000)
	kept := &parts{}
	require.NoError(tb, p.runShards(tb.Context(), shards, kept, 1))
	return p, shards, kept
}
