package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store/tuning"
)

// benchmarkFinishShard finishes the shards of one tune, one after the other.
func benchmarkFinishShard(b *testing.B, size int) {
	d := newFixture(b)
	tune, plan := d.tune("k")
	var cut []sweep.Shard
	for i := range b.N {
		cut = append(cut, sweep.Shard{Index: i, First: 4 * i, Trials: 4, Cost: 1})
	}
	require.NoError(b, d.store.Tuning.Begin(b.Context(), d.claim(plan, "w"), tune.ID, tuning.Plan{Shards: cut, Rounds: 1, Work: float64(4 * b.N)}))
	columns := make([]byte, size)
	for i := range b.N {
		b.StopTimer()
		lease := d.claim(d.jobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, tune.ID, i), "w")
		b.StartTimer()
		require.NoError(b, d.store.Tuning.FinishShard(b.Context(), lease, tune.ID, tuning.ShardDone{Shard: i, Completed: 4, Columns: columns}))
	}
}
