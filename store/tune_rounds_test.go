package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
)

// roundJob is the job that follows the running round.
func (d *fixture) roundJob(id uuid.UUID) (job int64, kind string) {
	d.t.Helper()
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `
		select j.id, j.kind from tune_progress p join river_job j on j.id = p.collect_job_id where p.tune_id = $1`, id).Scan(&job, &kind))
	return job, kind
}

func (d *fixture) shardJob(id uuid.UUID, shard int) int64 {
	d.t.Helper()
	var job int64
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `select job_id from tune_shards where tune_id = $1 and shard = $2`, id, shard).Scan(&job))
	return job
}

// begun is a tune of four trials whose first round, of three, has been run: rung 0 of a pruned one.
func (d *fixture) begun() *tuning.Tune {
	d.t.Helper()
	ctx := d.t.Context()
	tune, plan := d.tune("k")
	first := []sweep.Shard{{Trials: 4, Open: true, Cost: 0.25}}
	require.NoError(d.t, d.store.Tuning.Begin(ctx, d.claim(plan, "w"), tune.ID,
		tuning.Plan{Shards: first, Rounds: 3, Work: 4*0.25 + 2*0.5 + 1}))
	require.NoError(d.t, d.store.Tuning.FinishShard(ctx, d.claim(d.shardJob(tune.ID, 0), "w"), tune.ID,
		tuning.ShardDone{Columns: []byte("rung 0")}))
	return tune
}

func (d *fixture) progress(id uuid.UUID) tuning.Progress {
	d.t.Helper()
	tune, err := d.store.Tuning.Get(d.t.Context(), d.space.ID, id)
	require.NoError(d.t, err)
	return tune.Progress
}

func TestRoundsFollowOneAnother(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune := d.begun()
	require.Zero(t, d.progress(tune.ID).Done(), "no trial ends in a rung that is open")
	require.InDelta(t, 1, d.progress(tune.ID).WorkDone, 1e-12)

	job, kind := d.roundJob(tune.ID)
	require.Equal(t, "tune.advance", kind)
	second := tuning.Round{Round: 1, Pruned: 2, Shards: []sweep.Shard{{Index: 1, First: 1, Trials: 2, Rung: 1, Open: true, Cost: 0.5, List: []byte("list")}}}
	zombie, lease := d.claim(job, "first"), d.claim(job, "second")
	require.ErrorIs(t, d.store.Tuning.BeginRound(ctx, zombie, tune.ID, second), store.ErrFenced)
	require.Zero(t, d.progress(tune.ID).Skipped)
	require.NoError(t, d.store.Tuning.BeginRound(ctx, lease, tune.ID, second))
	require.ErrorIs(t, d.store.Tuning.BeginRound(ctx, lease, tune.ID, second), store.ErrFenced)
	require.Equal(t, 2, d.progress(tune.ID).Skipped, "a round begun twice")

	// A job of the same round that somehow runs besides cannot begin it again either.
	_, err := d.owner.Exec(ctx, `update river_job set state = 'available', finalized_at = null where id = $1`, job)
	require.NoError(t, err)
	again := tuning.Round{Round: 1, Pruned: 2, Shards: []sweep.Shard{{Index: 2, Trials: 1, Rung: 1}}}
	require.ErrorIs(t, d.store.Tuning.BeginRound(ctx, d.claim(job, "third"), tune.ID, again), store.ErrFenced)

	work, err := d.store.Tuning.ShardWork(ctx, d.space.ID, tune.ID, 1)
	require.NoError(t, err)
	require.Equal(t, second.Shards[0], work.Shard)
	require.NoError(t, d.store.Tuning.FinishShard(ctx, d.claim(d.shardJob(tune.ID, 1), "w"), tune.ID,
		tuning.ShardDone{Shard: 1, Columns: []byte("rung 1")}))
	columns, err := d.store.Tuning.ShardColumns(ctx, d.space.ID, tune.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "rung 1", string(columns))

	// A round without trials goes straight on; after the last one the tune is ranked.
	job, kind = d.roundJob(tune.ID)
	require.Equal(t, "tune.advance", kind)
	require.NoError(t, d.store.Tuning.BeginRound(ctx, d.claim(job, "w"), tune.ID, tuning.Round{Round: 2, Pruned: 2}))
	job, kind = d.roundJob(tune.ID)
	require.Equal(t, "tune.collect", kind)

	// Pages show each trial once, resolved or not, and the ranking job resolves them under its lease.
	shards, err := d.store.Tuning.TrialShards(ctx, d.space.ID, tune.ID, 3, 10)
	require.NoError(t, err)
	require.Len(t, shards, 1)
	zombie, lease = d.claim(job, "first"), d.claim(job, "second")
	require.ErrorIs(t, d.store.Tuning.ResolveShard(ctx, zombie, tune.ID, 0, []byte("lost")), store.ErrFenced)
	require.NoError(t, d.store.Tuning.ResolveShard(ctx, lease, tune.ID, 0, []byte("resolved")))
	require.NoError(t, d.store.Tuning.Complete(ctx, lease, tune.ID, &sweep.Outcome{Ranking: []int32{0, 1, 2, 3}}))
	_, shards, err = d.store.Tuning.RankedShards(ctx, d.space.ID, tune.ID, 0, 4)
	require.NoError(t, err)
	require.Len(t, shards, 1)
	require.Equal(t, "resolved", string(shards[0].Columns))
	left, err := d.store.Tuning.Shards(ctx, d.space.ID, tune.ID)
	require.NoError(t, err)
	require.Len(t, left, 1, "shards of later rungs go")
}

func TestCancelingBetweenRoundsCancelsTheJobThatPlansTheNext(t *testing.T) {
	d := newFixture(t)
	tune := d.begun()
	job, _ := d.roundJob(tune.ID)
	_, err := d.store.Tuning.Cancel(t.Context(), d.space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelled", d.state(job))
}
