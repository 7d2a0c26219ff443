package upkeep_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store/storetest"
	"millrace/store/tuning"
	"millrace/store/upkeep"
	"millrace/store/workers"
)

// A tune gives jobs to no more than its share of the slots there are, so what a fleet could use is more than
// what stands in the queue. Reading it does not touch the jobs.
func TestDemandCountsShardsThatHaveNoJobYet(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, err := d.Store.Workers.Beat(t.Context(), workers.Worker{ID: "w", Host: "h", Queues: map[string]int{"trials": 3, "tunes": 1}}, nil, nil)
	require.NoError(t, err)
	_, err = d.Store.Workers.Beat(t.Context(), workers.Worker{ID: "v", Host: "h", Queues: map[string]int{"trials": 1}}, nil, nil)
	require.NoError(t, err)
	d.Exec(`insert into workers (id, host, pid, version, queues, beat_at) values ('lost', 'h', 1, '', '{"trials": 50}', clock_timestamp() - interval '1 minute')`)
	tune, plan := d.Tune("running")
	shards := make([]sweep.Shard, 40)
	for i := range shards {
		shards[i] = sweep.Shard{Index: i, First: i, Trials: 1}
	}
	require.NoError(t, d.Store.Tuning.Begin(t.Context(), d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: shards}))
	d.Tune("queued")
	jobsWaiting := d.Count(`select count(*) from river_job where queue = 'trials' and state = 'available'`)
	require.Less(t, jobsWaiting, 40)

	d.AwaitReaders()
	require.NoError(t, d.Store.EventLog.FoldCounters(t.Context()))
	d.Exec(`alter table river_job rename to river_job_away`)
	demand, err := d.Store.Upkeep.Demand(t.Context())
	require.NoError(t, err, "the demand is read off the jobs themselves")
	require.False(t, demand.AsOf.IsZero())
	of := map[string]upkeep.QueueDemand{}
	for _, q := range demand.Queues {
		of[q.Queue] = q
	}
	require.Equal(t, upkeep.QueueDemand{Queue: "trials", Waiting: int64(jobsWaiting), Backlog: 40, Slots: 4, Workers: 2}, of["trials"])
	require.EqualValues(t, 40, of["trials"].Wanted())
	require.Equal(t, upkeep.QueueDemand{Queue: "tunes", Waiting: 1, Slots: 1, Workers: 1}, of["tunes"])
	require.EqualValues(t, 1, of["tunes"].Wanted())
	require.Equal(t, upkeep.QueueDemand{Queue: "wfo"}, of["wfo"])
	require.Equal(t, jobs.Queues(), slices.Collect(func(yield func(string) bool) {
		for _, q := range demand.Queues {
			if !yield(q.Queue) {
				return
			}
		}
	}))
}

// A tune of a later engine than any worker's that is heard waits; those of older ones are worked.
func TestTunesOfALaterEngineThanAnyWorkersAreCounted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	tune, plan := d.Tune("running")
	require.NoError(t, d.Store.Tuning.Begin(t.Context(), d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: storetest.TwoShards()}))
	count := func() int {
		state, err := d.Store.Upkeep.TunesState(t.Context())
		require.NoError(t, err)
		return state.Later
	}
	require.Zero(t, count(), "a tune whose engine is not known")
	for _, c := range []struct {
		tune, worker backtest.Stamp
		later        int
	}{
		{backtest.Stamp{Engine: "10"}, backtest.Stamp{Engine: "10", Semantics: "2"}, 0},
		{backtest.Stamp{Engine: "10"}, backtest.Stamp{Engine: "9", Semantics: "2"}, 1},
		{backtest.Stamp{Engine: "9"}, backtest.Stamp{Engine: "10", Semantics: "2"}, 0},
		{backtest.Stamp{Engine: "10", Semantics: "3"}, backtest.Stamp{Engine: "10", Semantics: "2"}, 1},
		{backtest.Stamp{Engine: "10", Semantics: "2"}, backtest.Stamp{Engine: "10", Semantics: "2"}, 0},
	} {
		d.Exec(`delete from workers`)
		d.Exec(`update tunes set engine = $1, semantics = $2`, c.tune.Engine, c.tune.Semantics)
		_, err := d.Store.Workers.Beat(t.Context(), workers.Worker{ID: "w", Host: "h", Stamp: c.worker, Queues: map[string]int{"trials": 1}}, nil, nil)
		require.NoError(t, err)
		require.Equal(t, c.later, count(), "a tune of %v, a worker of %v", c.tune, c.worker)
	}
}
