package store_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
)

// planned is a tune of so many shards of four trials, planned.
func (d *fixture) planned(shards, rounds int) *tuning.Tune {
	d.t.Helper()
	tune, plan := d.tune("k")
	var cut []sweep.Shard
	for i := range shards {
		cut = append(cut, sweep.Shard{Index: i, First: 4 * i, Trials: 4, Cost: 1})
	}
	require.NoError(d.t, d.store.Tuning.Begin(d.t.Context(), d.claim(plan, "w"), tune.ID, tuning.Plan{Shards: cut, Rounds: rounds, Work: float64(4 * shards)}))
	return tune
}

// A finished shard inserts the jobs that follow it in SQL; each is as River would have inserted it.
func TestAFinishedShardInsertsJobsAsRiverDoes(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune := d.planned(3, 1)
	row := func(kind string, own bool) (text string) {
		require.NoError(t, d.owner.QueryRow(ctx, `
			select (to_jsonb(j) - 'id' - 'created_at' - 'scheduled_at' - 'args')::text || (args - 'shard')::text
			    || (created_at <= clock_timestamp() and scheduled_at <= clock_timestamp())
			  from river_job j where kind = $1 and (unique_key is null) and (metadata ->> 'by' is null) = $2 order by id desc limit 1`, kind, own).Scan(&text))
		return text
	}
	insert := func(args any) {
		err := d.store.InWorkspace(ctx, d.space.ID, func(tx *store.Tx) error {
			var err error
			switch a := args.(type) {
			case jobs.TuneShardArgs:
				_, err = d.store.River().InsertTx(ctx, tx, a, nil)
			case jobs.TuneCollectArgs:
				_, err = d.store.River().InsertTx(ctx, tx, a, nil)
			case jobs.TuneAdvanceArgs:
				_, err = d.store.River().InsertTx(ctx, tx, a, nil)
			}
			return err
		})
		require.NoError(t, err)
	}
	finish := func(shard int) {
		job := d.jobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, tune.ID, shard)
		require.NoError(t, d.store.Tuning.FinishShard(ctx, d.claim(job, "w"), tune.ID, tuning.ShardDone{Shard: shard, Completed: 4, Columns: []byte{1}}))
	}
	finish(0)
	finish(1)
	require.Equal(t, 3, d.count(`select count(distinct job_id) from tune_shards where tune_id = $1`, tune.ID))
	shard := row("tune.shard", true)
	insert(jobs.TuneShardArgs{WorkspaceID: d.space.ID, TuneID: tune.ID, Shard: 2})
	require.Equal(t, row("tune.shard", true), shard)
	finish(2)
	collect := row("tune.collect", true)
	insert(jobs.TuneCollectArgs{WorkspaceID: d.space.ID, TuneID: tune.ID})
	require.Equal(t, row("tune.collect", true), collect)

	d = newFixture(t)
	tune = d.planned(1, 2)
	finish(0)
	advance := row("tune.advance", true)
	insert(jobs.TuneAdvanceArgs{WorkspaceID: d.space.ID, TuneID: tune.ID, Round: 1})
	require.Equal(t, row("tune.advance", true), advance)
	require.Equal(t, d.jobOf(`select min(id) from river_job where kind = 'tune.advance'`), d.jobOf(`select collect_job_id from tune_progress`))
}

// Each shard is counted once, in whatever order they end, and the event says how far the tune is.
func TestFinishedShardsAreCounted(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune := d.planned(2, 1)
	job := func(shard int) int64 {
		return d.jobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, tune.ID, shard)
	}
	lease := d.claim(job(0), "w")
	require.NoError(t, d.store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 3))
	best, trial := 1.5, 2
	done := tuning.ShardDone{Shard: 0, Completed: 2, Skipped: 1, Failed: 1, BestScore: &best, BestTrial: &trial, Columns: []byte{1}}
	require.NoError(t, d.store.Tuning.FinishShard(ctx, lease, tune.ID, done))
	require.ErrorIs(t, d.store.Tuning.FinishShard(ctx, lease, tune.ID, done), store.ErrFenced, "twice")
	require.ErrorIs(t, d.store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 4), store.ErrFenced)
	other := d.claim(job(1), "w")
	done.Shard = 0
	require.ErrorIs(t, d.store.Tuning.FinishShard(ctx, other, tune.ID, done), store.ErrFenced, "another job's shard")
	require.Equal(t, "running", d.state(other.JobID))
	worse := 0.5
	require.NoError(t, d.store.Tuning.FinishShard(ctx, other, tune.ID, tuning.ShardDone{Shard: 1, Completed: 4, BestScore: &worse, BestTrial: &trial, Columns: []byte{1}}))
	now, err := d.store.Tuning.Get(ctx, d.space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, []int{6, 1, 1}, []int{now.Progress.Completed, now.Progress.Skipped, now.Progress.Failed})
	require.Equal(t, 1.5, *now.Progress.BestScore)
	rows, err := d.owner.Query(ctx, `
		select payload ->> 'trials_completed' || ' ' || (payload ->> 'eta_seconds' is not null) || ' ' || coalesce(payload ->> 'best_score', '-') || ' ' || (payload - 'eta_seconds' ? 'error')
		  from event_log where type = 'backtest.tune.progress' order by xid, id`)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"3 true - false", "4 true 1.5 false", "8 true 1.5 false"}, events)
}

// What a tune that was canceled meanwhile computes is dropped, and its job completes.
func TestTheResultOfAnEndedTuneIsDropped(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune := d.planned(2, 1)
	lease := d.claim(d.jobOf(`select job_id from tune_shards where tune_id = $1 and shard = 0`, tune.ID), "w")
	_, err := d.store.Tuning.Cancel(ctx, d.space.ID, tune.ID)
	require.NoError(t, err)
	require.ErrorIs(t, d.store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 1), store.ErrEnded)
	before := d.count(`select count(*) from event_log where topic = 'backtests'`)
	require.ErrorIs(t, d.store.Tuning.FinishShard(ctx, lease, tune.ID, tuning.ShardDone{Shard: 0, Completed: 4, Columns: []byte{1}}), store.ErrEnded)
	require.Zero(t, d.count(`select count(*) from tune_shards where done`))
	require.Equal(t, before, d.count(`select count(*) from event_log where topic = 'backtests'`))
	require.Equal(t, "completed", d.state(lease.JobID))
}

func BenchmarkFinishShard(b *testing.B) {
	for _, kilobytes := range []int{8, 256} {
		b.Run(fmt.Sprintf("%dkB", kilobytes), func(b *testing.B) { benchmarkFinishShard(b, kilobytes<<10) })
	}
}
