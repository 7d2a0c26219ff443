package tuning_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// roundJob is the job that follows the running round.
func roundJob(d *storetest.Fixture, id uuid.UUID) (job int64, kind string) {
	d.T.Helper()
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `
		select j.id, j.kind from tune_progress p join river_job j on j.id = p.collect_job_id where p.tune_id = $1`, id).Scan(&job, &kind))
	return job, kind
}

// begun is a tune of four trials whose first round, of three, has been run: rung 0 of a pruned one.
func begun(d *storetest.Fixture) *tuning.Tune {
	d.T.Helper()
	ctx := d.T.Context()
	tune, plan := d.Tune("k")
	first := []sweep.Shard{{Trials: 4, Open: true, Cost: 0.25}}
	require.NoError(d.T, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID,
		tuning.Plan{Shards: first, Rounds: 3, Work: 4*0.25 + 2*0.5 + 1}))
	require.NoError(d.T, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 0), "w"), tune.ID,
		tuning.ShardDone{Columns: []byte("rung 0")}))
	return tune
}

func progress(d *storetest.Fixture, id uuid.UUID) tuning.Progress {
	d.T.Helper()
	tune, err := d.Store.Tuning.Get(d.T.Context(), d.Space.ID, id)
	require.NoError(d.T, err)
	return tune.Progress
}

func TestRoundsFollowOneAnother(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune := begun(d)
	require.Zero(t, progress(d, tune.ID).Done(), "no trial ends in a rung that is open")
	require.InDelta(t, 1, progress(d, tune.ID).WorkDone, 1e-12)

	job, kind := roundJob(d, tune.ID)
	require.Equal(t, "tune.advance", kind)
	second := tuning.Round{Round: 1, Pruned: 2, Shards: []sweep.Shard{{Index: 1, First: 1, Trials: 2, Rung: 1, Open: true, Cost: 0.5, List: []byte("list")}}}
	zombie, lease := d.Claim(job, "first"), d.Claim(job, "second")
	require.ErrorIs(t, d.Store.Tuning.BeginRound(ctx, zombie, tune.ID, second), store.ErrFenced)
	require.Zero(t, progress(d, tune.ID).Skipped)
	require.NoError(t, d.Store.Tuning.BeginRound(ctx, lease, tune.ID, second))
	require.ErrorIs(t, d.Store.Tuning.BeginRound(ctx, lease, tune.ID, second), store.ErrFenced)
	require.Equal(t, 2, progress(d, tune.ID).Skipped, "a round begun twice")

	// A job of the same round that somehow runs besides cannot begin it again either.
	_, err := d.Owner.Exec(ctx, `update river_job set state = 'available', finalized_at = null where id = $1`, job)
	require.NoError(t, err)
	again := tuning.Round{Round: 1, Pruned: 2, Shards: []sweep.Shard{{Index: 2, Trials: 1, Rung: 1}}}
	require.ErrorIs(t, d.Store.Tuning.BeginRound(ctx, d.Claim(job, "third"), tune.ID, again), store.ErrFenced)

	work, err := d.Store.Tuning.ShardWork(ctx, d.Space.ID, tune.ID, 1)
	require.NoError(t, err)
	require.Equal(t, second.Shards[0], work.Shard)
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 1), "w"), tune.ID,
		tuning.ShardDone{Shard: 1, Columns: []byte("rung 1")}))
	columns, err := d.Store.Tuning.ShardColumns(ctx, d.Space.ID, tune.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "rung 1", string(columns))

	// A round without trials goes straight on; after the last one the tune is ranked.
	job, kind = roundJob(d, tune.ID)
	require.Equal(t, "tune.advance", kind)
	require.NoError(t, d.Store.Tuning.BeginRound(ctx, d.Claim(job, "w"), tune.ID, tuning.Round{Round: 2, Pruned: 2}))
	job, kind = roundJob(d, tune.ID)
	require.Equal(t, "tune.collect", kind)

	// Pages show each trial once, resolved or not, and the ranking job resolves them under its lease.
	shards, err := d.Store.Tuning.TrialShards(ctx, d.Space.ID, tune.ID, 3, 10)
	require.NoError(t, err)
	require.Len(t, shards, 1)
	zombie, lease = d.Claim(job, "first"), d.Claim(job, "second")
	require.ErrorIs(t, d.Store.Tuning.ResolveShard(ctx, zombie, tune.ID, 0, []byte("lost")), store.ErrFenced)
	require.NoError(t, d.Store.Tuning.ResolveShard(ctx, lease, tune.ID, 0, []byte("resolved")))
	require.NoError(t, d.Store.Tuning.Complete(ctx, lease, tune.ID, &sweep.Outcome{Ranking: []int32{0, 1, 2, 3}}))
	_, shards, err = d.Store.Tuning.RankedShards(ctx, d.Space.ID, tune.ID, 0, 4)
	require.NoError(t, err)
	require.Len(t, shards, 1)
	require.Equal(t, "resolved", string(shards[0].Columns))
	left, err := d.Store.Tuning.Shards(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.Len(t, left, 1, "shards of later rungs go")
}

func TestCancelingBetweenRoundsCancelsTheJobThatPlansTheNext(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	tune := begun(d)
	job, _ := roundJob(d, tune.ID)
	_, err := d.Store.Tuning.Cancel(t.Context(), d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelled", d.JobState(job))
}
