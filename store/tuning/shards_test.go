package tuning_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// benchmarkFinishShard finishes the shards of one tune, one after the other.
func benchmarkFinishShard(b *testing.B, size int) {
	d := storetest.New(b)
	tune, plan := d.Tune("k")
	var cut []sweep.Shard
	for i := range b.N {
		cut = append(cut, sweep.Shard{Index: i, First: 4 * i, Trials: 4, Cost: 1})
	}
	require.NoError(b, d.Store.Tuning.Begin(b.Context(), d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: cut, Rounds: 1, Work: float64(4 * b.N)}))
	columns := make([]byte, size)
	for i := range b.N {
		b.StopTimer()
		lease := d.Claim(d.JobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, tune.ID, i), "w")
		b.StartTimer()
		require.NoError(b, d.Store.Tuning.FinishShard(b.Context(), lease, tune.ID, tuning.ShardDone{Shard: i, Completed: 4, Columns: columns}))
	}
}

// planned is a tune of so many shards of four trials, planned.
func planned(d *storetest.Fixture, shards, rounds int) *tuning.Tune {
	d.T.Helper()
	tune, plan := d.Tune("k")
	var cut []sweep.Shard
	for i := range shards {
		cut = append(cut, sweep.Shard{Index: i, First: 4 * i, Trials: 4, Cost: 1})
	}
	require.NoError(d.T, d.Store.Tuning.Begin(d.T.Context(), d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: cut, Rounds: rounds, Work: float64(4 * shards)}))
	return tune
}

// A finished shard inserts the jobs that follow it in SQL; each is as River would have inserted it.
func TestAFinishedShardInsertsJobsAsRiverDoes(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune := planned(d, 3, 1)
	row := func(kind string, own bool) (text string) {
		require.NoError(t, d.Owner.QueryRow(ctx, `
			select (to_jsonb(j) - 'id' - 'created_at' - 'scheduled_at' - 'args')::text || (args - 'shard')::text
			    || (created_at <= clock_timestamp() and scheduled_at <= clock_timestamp())
			  from river_job j where kind = $1 and (unique_key is null) and (metadata ->> 'by' is null) = $2 order by id desc limit 1`, kind, own).Scan(&text))
		return text
	}
	insert := func(args any) {
		err := d.Store.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
			var err error
			switch a := args.(type) {
			case jobs.TuneShardArgs:
				_, err = d.Store.River().InsertTx(ctx, tx, a, nil)
			case jobs.TuneCollectArgs:
				_, err = d.Store.River().InsertTx(ctx, tx, a, nil)
			case jobs.TuneAdvanceArgs:
				_, err = d.Store.River().InsertTx(ctx, tx, a, nil)
			}
			return err
		})
		require.NoError(t, err)
	}
	finish := func(shard int) {
		job := d.JobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, tune.ID, shard)
		require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(job, "w"), tune.ID, tuning.ShardDone{Shard: shard, Completed: 4, Columns: []byte{1}}))
	}
	finish(0)
	finish(1)
	require.Equal(t, 3, d.Count(`select count(distinct job_id) from tune_shards where tune_id = $1`, tune.ID))
	shard := row("tune.shard", true)
	insert(jobs.TuneShardArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID, Shard: 2})
	require.Equal(t, row("tune.shard", true), shard)
	finish(2)
	collect := row("tune.collect", true)
	insert(jobs.TuneCollectArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID})
	require.Equal(t, row("tune.collect", true), collect)

	d = storetest.New(t)
	tune = planned(d, 1, 2)
	finish(0)
	advance := row("tune.advance", true)
	insert(jobs.TuneAdvanceArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID, Round: 1})
	require.Equal(t, row("tune.advance", true), advance)
	require.Equal(t, d.JobOf(`select min(id) from river_job where kind = 'tune.advance'`), d.JobOf(`select collect_job_id from tune_progress`))
}

// Each shard is counted once, in whatever order they end, and the event says how far the tune is.
func TestFinishedShardsAreCounted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune := planned(d, 2, 1)
	job := func(shard int) int64 {
		return d.JobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, tune.ID, shard)
	}
	lease := d.Claim(job(0), "w")
	require.NoError(t, d.Store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 3))
	best, trial := 1.5, 2
	done := tuning.ShardDone{Shard: 0, Completed: 2, Skipped: 1, Failed: 1, BestScore: &best, BestTrial: &trial, Columns: []byte{1}}
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, lease, tune.ID, done))
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, lease, tune.ID, done), store.ErrFenced, "twice")
	require.ErrorIs(t, d.Store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 4), store.ErrFenced)
	other := d.Claim(job(1), "w")
	done.Shard = 0
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, other, tune.ID, done), store.ErrFenced, "another job's shard")
	require.Equal(t, "running", d.JobState(other.JobID))
	worse := 0.5
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, other, tune.ID, tuning.ShardDone{Shard: 1, Completed: 4, BestScore: &worse, BestTrial: &trial, Columns: []byte{1}}))
	now, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, []int{6, 1, 1}, []int{now.Progress.Completed, now.Progress.Skipped, now.Progress.Failed})
	require.Equal(t, 1.5, *now.Progress.BestScore)
	rows, err := d.Owner.Query(ctx, `
		select payload ->> 'trials_completed' || ' ' || (payload ->> 'share_done')::float8 || ' ' || (payload ->> 'eta_seconds' is not null) || ' ' || coalesce(payload ->> 'best_score', '-') || ' ' || (payload - 'eta_seconds' ? 'error')
		  from event_log where type = 'backtest.tune.progress' order by xid, id`)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"3 0.375 true - false", "4 0.5 true 1.5 false", "8 1 true 1.5 false"}, events)
}

// What a tune that was canceled meanwhile computes is dropped; its worker cancels the job, which was asked to stop.
func TestTheResultOfAnEndedTuneIsDropped(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune := planned(d, 2, 1)
	lease := d.Claim(d.JobOf(`select job_id from tune_shards where tune_id = $1 and shard = 0`, tune.ID), "w")
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.ErrorIs(t, d.Store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 1), store.ErrEnded)
	before := d.Count(`select count(*) from event_log where topic = 'backtests'`)
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, lease, tune.ID, tuning.ShardDone{Shard: 0, Completed: 4, Columns: []byte{1}}), store.ErrEnded)
	require.Zero(t, d.Count(`select count(*) from tune_shards where done`))
	require.Equal(t, before, d.Count(`select count(*) from event_log where topic = 'backtests'`))
	require.Equal(t, "running", d.JobState(lease.JobID))
}

func BenchmarkFinishShard(b *testing.B) {
	for _, kilobytes := range []int{8, 256} {
		b.Run(fmt.Sprintf("%dkB", kilobytes), func(b *testing.B) { benchmarkFinishShard(b, kilobytes<<10) })
	}
}

func TestProgressReportsOfAHalfDoneTuneEstimateTheOtherHalf(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("k")
	shards := []sweep.Shard{{Trials: 2, Cost: 1}, {Index: 1, First: 2, Trials: 2, Cursor: 2, Cost: 1}}
	require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: shards, Work: 4}))
	d.Exec(`update tunes set started_at = clock_timestamp() - interval '1000 s'`)
	first, second := d.Claim(d.ShardJob(tune.ID, 0), "w"), d.Claim(d.ShardJob(tune.ID, 1), "w")
	require.NoError(t, d.Store.Tuning.ReportShard(ctx, first, tune.ID, 0, 1))
	require.NoError(t, d.Store.Tuning.ReportShard(ctx, second, tune.ID, 1, 1))
	require.NoError(t, d.Store.Tuning.ReportShard(ctx, first, tune.ID, 0, 1))
	rows, err := d.Owner.Query(ctx, `
		select (payload ->> 'eta_seconds')::float8 from event_log where type = 'backtest.tune.progress' order by xid, id`)
	require.NoError(t, err)
	etas, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{3000, 1000, 1000}, etas, 300, "of four trials one, two and two are done after 1000 s")
	got, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.InDelta(t, 1000, *got.ETA(time.Now()), 300)
}

// A zombie is an attempt that was given up for dead and comes back while its successor runs.
func TestAZombieWritesNothingAndCompletesNothing(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("k")
	zombie := d.Claim(plan, "first")
	successor := d.Claim(plan, "second")
	require.ErrorIs(t, d.Store.Tuning.Begin(ctx, zombie, tune.ID, tuning.Plan{Shards: storetest.TwoShards()}), store.ErrFenced)
	require.Equal(t, tuning.Queued, d.TuneStatus(tune.ID))
	require.Equal(t, "running", d.JobState(plan))
	require.NoError(t, d.Store.Tuning.Begin(ctx, successor, tune.ID, tuning.Plan{Shards: storetest.TwoShards()}))
	require.ErrorIs(t, d.Store.Tuning.Begin(ctx, successor, tune.ID, tuning.Plan{Shards: storetest.TwoShards()}), store.ErrFenced)
	require.Equal(t, "completed", d.JobState(plan))

	var shardJobs []int64
	rows, err := d.Owner.Query(ctx, `select job_id from tune_shards order by shard`)
	require.NoError(t, err)
	shardJobs, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	require.Len(t, shardJobs, 2)
	zombie = d.Claim(shardJobs[0], "first")
	successor = d.Claim(shardJobs[0], "second")
	done := tuning.ShardDone{Shard: 0, Completed: 2, Columns: []byte{1}}
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, zombie, tune.ID, done), store.ErrFenced)
	require.ErrorIs(t, d.Store.Tuning.ReportShard(ctx, zombie, tune.ID, 0, 1), store.ErrFenced)
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, successor, tune.ID, done))
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, zombie, tune.ID, done), store.ErrFenced)
	now, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, 2, now.Progress.Completed, "a trial counted twice")
}
