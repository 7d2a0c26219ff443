package walkforward_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// With no worker known there is one slot, so four folds are enqueued at once.
func TestAWalkForwardEnqueuesItsFoldsAndItsJudgingAfterTheLast(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("w", 6, false)
	candidates := d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)
	states := func() (all []string) {
		for _, fold := range folds {
			all = append(all, d.JobState(d.PlanJob(*fold.TuneID)))
		}
		return all
	}
	require.Equal(t, []string{"available", "available", "available", "available", "pending", "pending"}, states())
	d.RunFold(folds[1], storetest.OutcomeOf(5, 10))
	require.Equal(t, walkforward.Running, d.WalkForwardNow(wfo.ID).Status)
	require.Equal(t, []string{"available", "completed", "available", "available", "available", "pending"}, states())
	d.RunFold(folds[0], storetest.OutcomeOf(5))
	d.RunFold(folds[2], storetest.OutcomeOf(10))
	require.Equal(t, "pending", d.JobState(candidates), "a fold is still out")
	d.RunFold(folds[3], storetest.OutcomeOf())
	d.RunFold(folds[4], storetest.OutcomeOf(5))
	require.Equal(t, "pending", d.JobState(candidates), "the last fold is still out")
	d.RunFold(folds[5], storetest.OutcomeOf(5))
	require.Equal(t, "available", d.JobState(candidates))
	require.Equal(t, 24, d.WalkForwardNow(wfo.ID).TrialsDone)

	zombie, successor := d.Claim(candidates, "first"), d.Claim(candidates, "second")
	flat := []float64{5, 50, 10, 50}
	require.ErrorIs(t, d.Store.WalkForward.BeginScoring(ctx, zombie, wfo.ID, flat), store.ErrFenced)
	require.NoError(t, d.Store.WalkForward.BeginScoring(ctx, successor, wfo.ID, flat))
	for i := range 6 {
		job := d.JobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = $2`, wfo.ID, i)
		zombie, successor = d.Claim(job, "first"), d.Claim(job, "second")
		stretch := sweep.Stretch{From: 100 + i, Growth: []float64{1}}
		require.ErrorIs(t, d.Store.WalkForward.FinishScore(ctx, zombie, wfo.ID, i, []float64{1, 2}, stretch), store.ErrFenced)
		require.NoError(t, d.Store.WalkForward.FinishScore(ctx, successor, wfo.ID, i, []float64{1, 2}, stretch))
		require.ErrorIs(t, d.Store.WalkForward.FinishScore(ctx, successor, wfo.ID, i, []float64{1, 2}, stretch), store.ErrFenced)
	}
	results, err := d.Store.WalkForward.FoldResults(ctx, d.Space.ID, wfo.ID)
	require.NoError(t, err)
	require.Len(t, results, 6)
	require.Nil(t, results[3].Winner)
	require.Equal(t, 5.0, results[0].Winner.Params["fast"])
	collect := d.JobOf(`select collect_job_id from wfo_runs where id = $1`, wfo.ID)
	found := &sweep.WFOOutcome{Eligible: 1, Ranked: []sweep.Candidate{{Rank: 1}, {Rank: 2}}, Curve: sweep.Curve{Bars: []int32{7}, Equity: []float64{1}}}
	zombie, successor = d.Claim(collect, "first"), d.Claim(collect, "second")
	require.ErrorIs(t, d.Store.WalkForward.Complete(ctx, zombie, wfo.ID, found), store.ErrFenced)
	require.NoError(t, d.Store.WalkForward.Complete(ctx, successor, wfo.ID, found))
	require.Equal(t, walkforward.Completed, d.WalkForwardNow(wfo.ID).Status)
	kept, err := d.Store.WalkForward.Candidates(ctx, d.Space.ID, wfo.ID, 1, 10)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	_, err = d.Store.WalkForward.Cancel(ctx, d.Space.ID, wfo.ID)
	require.ErrorIs(t, err, store.ErrEnded)
}

func TestCancelingAWalkForwardCancelsItsFolds(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("w", 4, false)
	d.RunFold(folds[0], storetest.OutcomeOf(5))
	running := *folds[1].TuneID
	require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(d.PlanJob(running), "w"), running, tuning.Plan{Shards: storetest.TwoShards()}))
	shard := d.JobOf(`select job_id from tune_shards where tune_id = $1 and shard = 0`, running)
	lease := d.Claim(shard, "w")
	_, err := d.Store.WalkForward.Cancel(ctx, d.Space.ID, wfo.ID)
	require.NoError(t, err)
	require.Equal(t, tuning.Completed, d.TuneStatus(*folds[0].TuneID))
	for _, fold := range folds[1:] {
		require.Equal(t, tuning.Canceled, d.TuneStatus(*fold.TuneID))
	}
	var open int
	require.NoError(t, d.Owner.QueryRow(ctx, `select count(*) from river_job where finalized_at is null and id <> $1`, shard).Scan(&open))
	require.Zero(t, open, "a job was left in the queue")
	require.ErrorIs(t, d.Store.Tuning.ReportShard(ctx, lease, running, 0, 1), store.ErrEnded, "the worker learns that it should stop")
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, lease, running, tuning.ShardDone{Completed: 2}), store.ErrEnded, "its result is dropped")
	require.Equal(t, walkforward.Canceled, d.WalkForwardNow(wfo.ID).Status)
}

func TestAFailedFoldFailsTheWholeUnlessPartial(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	final := false
	fail := func(fold walkforward.Fold) {
		require.NoError(t, d.Store.Tuning.Fail(ctx, d.Claim(d.PlanJob(*fold.TuneID), "w"), *fold.TuneID, store.Failure{Reason: "no luck", Final: final}))
	}
	final = true
	whole, folds := d.WalkForward("bad", 4, false)
	fail(folds[1])
	require.False(t, d.WalkForwardNow(whole.ID).Retryable(), "the fold would fail again")
	final = false
	whole, folds = d.WalkForward("whole", 4, false)
	require.False(t, d.WalkForwardNow(whole.ID).Retryable(), "it runs")
	fail(folds[1])
	now := d.WalkForwardNow(whole.ID)
	require.True(t, now.Retryable())
	require.Equal(t, walkforward.Failed, now.Status)
	require.Equal(t, "fold 1 failed: no luck", now.Error)
	require.Equal(t, tuning.Canceled, d.TuneStatus(*folds[0].TuneID))

	part, folds := d.WalkForward("part", 4, true)
	fail(folds[0])
	d.RunFold(folds[1], storetest.OutcomeOf(5))
	require.Equal(t, 12, d.WalkForwardNow(part.ID).TrialsTotal(), "a failed fold is not waited for")
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, *folds[2].TuneID)
	require.NoError(t, err)
	require.Equal(t, walkforward.Running, d.WalkForwardNow(part.ID).Status)
	d.RunFold(folds[3], storetest.OutcomeOf(5))
	require.Equal(t, "available", d.JobState(d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, part.ID)))

	few, folds := d.WalkForward("few", 4, true)
	for _, fold := range folds[:3] {
		fail(fold)
	}
	now = d.WalkForwardNow(few.ID)
	require.Equal(t, walkforward.Failed, now.Status)
	require.Contains(t, now.Error, "fewer than min_folds 2")
}

// Folds that end at once are all counted, and the scoring is enqueued once.
func TestConcurrentFoldsAreAllCounted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	const n = 6
	_, err := d.Owner.Exec(ctx, `insert into workers (id, host, pid, version, queues) values ('w', 'h', 1, 'v', '{"trials": 8}')`)
	require.NoError(t, err)
	wfo, folds := d.WalkForward("w", n, false)
	type ready struct {
		lease store.Lease
		id    uuid.UUID
	}
	var collects []ready
	for _, fold := range folds {
		id := *fold.TuneID
		require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(d.PlanJob(id), "w"), id, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
		require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.JobOf(`select job_id from tune_shards where tune_id = $1`, id), "w"), id,
			tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
		collects = append(collects, ready{d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, id), "w"), id})
	}
	errs := make(chan error, n)
	for _, c := range collects {
		go func() { errs <- d.Store.Tuning.Complete(ctx, c.lease, c.id, storetest.OutcomeOf(5)) }()
	}
	for range n {
		require.NoError(t, <-errs)
	}
	now := d.WalkForwardNow(wfo.ID)
	require.Equal(t, n, now.FoldsDone)
	require.Equal(t, "available", d.JobState(d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)))
	rows, err := d.Owner.Query(ctx, `
		select (payload ->> 'folds_done')::int from event_log where topic = 'wfo' and type like 'wfo.run.%' order by xid, id`)
	require.NoError(t, err)
	counted, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.IsNonDecreasing(t, counted)
}
