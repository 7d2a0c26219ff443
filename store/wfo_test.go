package store_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// wfo submits a walk-forward of so many folds of four trials each.
func (d *fixture) wfo(key string, folds int, partial bool) (*walkforward.Run, []walkforward.Fold) {
	d.t.Helper()
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	config := sweep.WFOConfig{TrainDays: new(100), TestDays: new(50), AllowPartial: &partial, MinFolds: new(2)}
	config.Normalize()
	in := walkforward.NewRun{DatasetID: d.dataset.ID, Dataset: d.dataset.Name, Spec: spec, Config: config, Trials: 4}
	for i := range folds {
		start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 50*i)
		in.Folds = append(in.Folds, sweep.Fold{Index: i, TrainBars: 100, TestBars: 50,
			TrainTest: sweep.TrainTest{TrainStart: start, TrainEnd: start.AddDate(0, 0, 100), TestEnd: start.AddDate(0, 0, 150)}})
	}
	var wfo *walkforward.Run
	var made []walkforward.Fold
	_, err := d.store.WalkForward.Create(d.t.Context(), store.Submission{Workspace: d.space.ID, Route: "test", Key: key}, in,
		func(w *walkforward.Run, folds []walkforward.Fold) (store.Response, error) {
			wfo, made = w, folds
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(d.t, err)
	return wfo, made
}

func (d *fixture) wfoNow(id uuid.UUID) *walkforward.Run {
	d.t.Helper()
	now, err := d.store.WalkForward.Get(d.t.Context(), d.space.ID, id)
	require.NoError(d.t, err)
	return now
}

// jobOf finds a job id by a query of the owner's.
func (d *fixture) jobOf(query string, args ...any) int64 {
	d.t.Helper()
	var job int64
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), query, args...).Scan(&job))
	return job
}

func (d *fixture) planJob(tune uuid.UUID) int64 {
	d.t.Helper()
	return d.jobOf(`select plan_job_id from tunes where id = $1`, tune)
}

// runFold takes a fold's tune to its end: planned into one shard, run, collected.
func (d *fixture) runFold(fold walkforward.Fold, found *sweep.Outcome) {
	d.t.Helper()
	ctx, id := d.t.Context(), *fold.TuneID
	require.Equal(d.t, "available", d.state(d.planJob(id)), "fold %d has not been enqueued", fold.Index)
	require.NoError(d.t, d.store.Tuning.Begin(ctx, d.claim(d.planJob(id), "w"), id, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
	shard := d.jobOf(`select job_id from tune_shards where tune_id = $1`, id)
	require.NoError(d.t, d.store.Tuning.FinishShard(ctx, d.claim(shard, "w"), id, tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
	collect := d.jobOf(`select collect_job_id from tune_progress where tune_id = $1`, id)
	require.NoError(d.t, d.store.Tuning.Complete(ctx, d.claim(collect, "w"), id, found))
}

func outcomeOf(fast ...float64) *sweep.Outcome {
	out := &sweep.Outcome{Counts: sweep.Counts{Completed: 4}}
	for i, v := range fast {
		oos := backtest.Metrics{ReturnPct: 1}
		out.Leaderboard = append(out.Leaderboard, sweep.Entry{
			Rank: i + 1, TrialIndex: i, Params: map[string]float64{"fast": v, "slow": 50}, Score: 1, MetricsIS: backtest.Metrics{ReturnPct: 2}, MetricsOOS: &oos,
		})
	}
	return out
}

// With no worker known there is one slot, so two folds are enqueued at once.
func TestAWalkForwardLetsItsFoldsInAndItsJudgingAfterTheLast(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	wfo, folds := d.wfo("w", 4, false)
	candidates := d.jobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)
	states := func() (all []string) {
		for _, fold := range folds {
			all = append(all, d.state(d.planJob(*fold.TuneID)))
		}
		return all
	}
	require.Equal(t, []string{"available", "available", "pending", "pending"}, states())
	d.runFold(folds[1], outcomeOf(5, 10))
	require.Equal(t, walkforward.Running, d.wfoNow(wfo.ID).Status)
	require.Equal(t, []string{"available", "completed", "available", "pending"}, states())
	d.runFold(folds[0], outcomeOf(5))
	d.runFold(folds[2], outcomeOf(10))
	require.Equal(t, "pending", d.state(candidates), "a fold is still out")
	d.runFold(folds[3], outcomeOf())
	require.Equal(t, "available", d.state(candidates))
	require.Equal(t, 16, d.wfoNow(wfo.ID).TrialsDone)

	zombie, successor := d.claim(candidates, "first"), d.claim(candidates, "second")
	flat := []float64{5, 50, 10, 50}
	require.ErrorIs(t, d.store.WalkForward.BeginScoring(ctx, zombie, wfo.ID, flat), store.ErrFenced)
	require.NoError(t, d.store.WalkForward.BeginScoring(ctx, successor, wfo.ID, flat))
	for i := range 4 {
		job := d.jobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = $2`, wfo.ID, i)
		zombie, successor = d.claim(job, "first"), d.claim(job, "second")
		stretch := sweep.Stretch{From: 100 + i, Growth: []float64{1}}
		require.ErrorIs(t, d.store.WalkForward.FinishScore(ctx, zombie, wfo.ID, i, []float64{1, 2}, stretch), store.ErrFenced)
		require.NoError(t, d.store.WalkForward.FinishScore(ctx, successor, wfo.ID, i, []float64{1, 2}, stretch))
		require.ErrorIs(t, d.store.WalkForward.FinishScore(ctx, successor, wfo.ID, i, []float64{1, 2}, stretch), store.ErrFenced)
	}
	results, err := d.store.WalkForward.FoldResults(ctx, d.space.ID, wfo.ID)
	require.NoError(t, err)
	require.Len(t, results, 4)
	require.Nil(t, results[3].Winner)
	require.Equal(t, 5.0, results[0].Winner.Params["fast"])
	collect := d.jobOf(`select collect_job_id from wfo_runs where id = $1`, wfo.ID)
	found := &sweep.WFOOutcome{Eligible: 1, Ranked: []sweep.Candidate{{Rank: 1}, {Rank: 2}}, Curve: sweep.Curve{Bars: []int32{7}, Equity: []float64{1}}}
	zombie, successor = d.claim(collect, "first"), d.claim(collect, "second")
	require.ErrorIs(t, d.store.WalkForward.Complete(ctx, zombie, wfo.ID, found), store.ErrFenced)
	require.NoError(t, d.store.WalkForward.Complete(ctx, successor, wfo.ID, found))
	require.Equal(t, walkforward.Completed, d.wfoNow(wfo.ID).Status)
	kept, err := d.store.WalkForward.Candidates(ctx, d.space.ID, wfo.ID, 1, 10)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	_, err = d.store.WalkForward.Cancel(ctx, d.space.ID, wfo.ID)
	require.ErrorIs(t, err, store.ErrEnded)
}

// A walk-forward takes one place of the cap, whatever the number of its folds.
func TestAWalkForwardCountsAsOne(t *testing.T) {
	d := newFixture(t)
	first, folds := d.wfo("1", 4, false)
	_, plan := d.tune("2")
	second, waiting := d.wfo("3", 3, false)
	_, later := d.tune("4")
	require.Equal(t, "available", d.state(plan))
	require.False(t, second.Admitted)
	require.Equal(t, "pending", d.state(d.planJob(*waiting[0].TuneID)))
	require.Equal(t, "pending", d.state(later))
	d.runFold(folds[0], outcomeOf(5))
	require.Equal(t, "pending", d.state(later), "the end of a fold frees no place")
	_, err := d.store.WalkForward.Cancel(t.Context(), d.space.ID, first.ID)
	require.NoError(t, err)
	require.Equal(t, "available", d.state(d.planJob(*waiting[0].TuneID)), "the next in line")
	require.Equal(t, "pending", d.state(later))
	require.True(t, d.wfoNow(second.ID).Admitted)
}

func TestCancelingAWalkForwardCancelsItsFolds(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	wfo, folds := d.wfo("w", 4, false)
	d.runFold(folds[0], outcomeOf(5))
	running := *folds[1].TuneID
	require.NoError(t, d.store.Tuning.Begin(ctx, d.claim(d.planJob(running), "w"), running, tuning.Plan{Shards: twoShards}))
	shard := d.jobOf(`select job_id from tune_shards where tune_id = $1 and shard = 0`, running)
	lease := d.claim(shard, "w")
	_, err := d.store.WalkForward.Cancel(ctx, d.space.ID, wfo.ID)
	require.NoError(t, err)
	require.Equal(t, tuning.Completed, d.status(*folds[0].TuneID))
	for _, fold := range folds[1:] {
		require.Equal(t, tuning.Canceled, d.status(*fold.TuneID))
	}
	var open int
	require.NoError(t, d.owner.QueryRow(ctx, `select count(*) from river_job where finalized_at is null and id <> $1`, shard).Scan(&open))
	require.Zero(t, open, "a job was left in the queue")
	require.ErrorIs(t, d.store.Tuning.ReportShard(ctx, lease, running, 0, 1), store.ErrEnded, "the worker learns that it should stop")
	require.ErrorIs(t, d.store.Tuning.FinishShard(ctx, lease, running, tuning.ShardDone{Completed: 2}), store.ErrEnded, "its result is dropped")
	require.Equal(t, walkforward.Canceled, d.wfoNow(wfo.ID).Status)
}

func TestAFailedFoldFailsTheWholeUnlessPartial(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	fail := func(fold walkforward.Fold) {
		require.NoError(t, d.store.Tuning.Fail(ctx, d.claim(d.planJob(*fold.TuneID), "w"), *fold.TuneID, "no luck"))
	}
	whole, folds := d.wfo("whole", 4, false)
	fail(folds[1])
	now := d.wfoNow(whole.ID)
	require.Equal(t, walkforward.Failed, now.Status)
	require.Equal(t, "fold 1 failed: no luck", now.Error)
	require.Equal(t, tuning.Canceled, d.status(*folds[0].TuneID))

	part, folds := d.wfo("part", 4, true)
	fail(folds[0])
	d.runFold(folds[1], outcomeOf(5))
	require.Equal(t, 12, d.wfoNow(part.ID).TrialsTotal(), "a failed fold is not waited for")
	_, err := d.store.Tuning.Cancel(ctx, d.space.ID, *folds[2].TuneID)
	require.NoError(t, err)
	require.Equal(t, walkforward.Running, d.wfoNow(part.ID).Status)
	d.runFold(folds[3], outcomeOf(5))
	require.Equal(t, "available", d.state(d.jobOf(`select candidates_job_id from wfo_runs where id = $1`, part.ID)))

	few, folds := d.wfo("few", 4, true)
	for _, fold := range folds[:3] {
		fail(fold)
	}
	now = d.wfoNow(few.ID)
	require.Equal(t, walkforward.Failed, now.Status)
	require.Contains(t, now.Error, "fewer than min_folds 2")
}

// Folds that end at once are all counted, and the scoring is enqueued once.
func TestConcurrentFoldsAreAllCounted(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	const n = 6
	_, err := d.owner.Exec(ctx, `insert into workers (id, host, pid, version, queues) values ('w', 'h', 1, 'v', '{"trials": 8}')`)
	require.NoError(t, err)
	wfo, folds := d.wfo("w", n, false)
	type ready struct {
		lease store.Lease
		id    uuid.UUID
	}
	var collects []ready
	for _, fold := range folds {
		id := *fold.TuneID
		require.NoError(t, d.store.Tuning.Begin(ctx, d.claim(d.planJob(id), "w"), id, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
		require.NoError(t, d.store.Tuning.FinishShard(ctx, d.claim(d.jobOf(`select job_id from tune_shards where tune_id = $1`, id), "w"), id,
			tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
		collects = append(collects, ready{d.claim(d.jobOf(`select collect_job_id from tune_progress where tune_id = $1`, id), "w"), id})
	}
	errs := make(chan error, n)
	for _, c := range collects {
		go func() { errs <- d.store.Tuning.Complete(ctx, c.lease, c.id, outcomeOf(5)) }()
	}
	for range n {
		require.NoError(t, <-errs)
	}
	now := d.wfoNow(wfo.ID)
	require.Equal(t, n, now.FoldsDone)
	require.Equal(t, "available", d.state(d.jobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)))
	rows, err := d.owner.Query(ctx, `
		select (payload ->> 'folds_done')::int from event_log where topic = 'wfo' and type like 'wfo.run.%' order by xid, id`)
	require.NoError(t, err)
	counted, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.IsNonDecreasing(t, counted)
}
