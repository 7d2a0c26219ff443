package walkforward_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

func retry(d *storetest.Fixture, id uuid.UUID) (folds []walkforward.Fold, err error) {
	_, err = d.Store.WalkForward.Retry(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "retry"}, 0, id,
		func(_ *walkforward.Run, found []walkforward.Fold) (store.Response, error) {
			folds = found
			return store.Response{Status: http.StatusAccepted}, nil
		})
	return folds, err
}

func TestARetriedWalkForwardKeepsTheFoldsThatCameThrough(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("1", 3, false)
	d.RunFold(folds[0], storetest.OutcomeOf(5))
	half := *folds[1].TuneID
	require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(d.PlanJob(half), "w"), half, tuning.Plan{Shards: storetest.TwoShards()}))
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(half, 0), "w"), half, tuning.ShardDone{Completed: 2, Columns: []byte{1}}))
	require.NoError(t, d.Store.Tuning.Fail(ctx, d.Claim(d.ShardJob(half, 1), "w"), half, store.Failure{Reason: "no luck"}))
	require.Equal(t, walkforward.Failed, d.WalkForwardNow(wfo.ID).Status)

	again, err := retry(d, wfo.ID)
	require.NoError(t, err)
	require.Equal(t, []walkforward.FoldStatus{walkforward.FoldCompleted, walkforward.FoldPending, walkforward.FoldPending},
		[]walkforward.FoldStatus{again[0].Status, again[1].Status, again[2].Status})
	now := d.WalkForwardNow(wfo.ID)
	require.Equal(t, walkforward.Pending, now.Status)
	require.Equal(t, []int{1, 0, 6, 1}, []int{now.FoldsDone, now.FoldsFailed, now.TrialsDone, now.Retries})
	_, err = retry(d, wfo.ID)
	var unfit *store.NotRetryableError
	require.ErrorAs(t, err, &unfit)
	tune := folds[1].TuneID
	_, err = d.Store.Tuning.Retry(ctx, store.Submission{Workspace: d.Space.ID, Route: "retry"}, 0, *tune, nil)
	require.ErrorAs(t, err, &unfit, "a fold runs with its walk-forward")

	require.NoError(t, d.Store.Tuning.Resume(ctx, d.Claim(d.PlanJob(half), "w"), half))
	d.Exec(`update wfo_runs set started_at = clock_timestamp() - interval '100 s' where id = $1`, wfo.ID)
	now = d.WalkForwardNow(wfo.ID)
	require.Nil(t, now.ETA(now.AsOf), "nothing has run since")
	d.Exec(`with row as (delete from wfo_progress returning *) insert into wfo_progress (wfo_id, workspace_id, folds_done, folds_failed, trials_done, trials_kept)
		select wfo_id, workspace_id, folds_done, folds_failed, trials_done, trials_kept from row`) // so that the next event is due
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(half, 1), "w"), half, tuning.ShardDone{Shard: 1, Completed: 2, Columns: []byte{1}}))
	now = d.WalkForwardNow(wfo.ID)
	require.Equal(t, []int{8, 6}, []int{now.TrialsDone, now.TrialsKept})
	require.InDelta(t, 200, *now.ETA(now.AsOf), 60, "four trials are left, and two took 100 s")
	require.InDelta(t, 200, d.Count(`select (payload ->> 'eta_seconds')::float8::int from event_log where type = 'wfo.run.progress' order by id desc limit 1`), 60)
	collect := d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, half), "w")
	require.NoError(t, d.Store.Tuning.Complete(ctx, collect, half, storetest.OutcomeOf(10)))
	d.RunFold(folds[2], storetest.OutcomeOf(15))
	now = d.WalkForwardNow(wfo.ID)
	require.Equal(t, []int{3, 12}, []int{now.FoldsDone, now.TrialsDone})
	judge(t, d, wfo.ID)
}

// judge takes a walk-forward whose folds have all ended to its end.
func judge(t *testing.T, d *storetest.Fixture, id uuid.UUID) {
	t.Helper()
	ctx := t.Context()
	candidates := d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, id)
	require.Equal(t, "available", d.JobState(candidates))
	require.NoError(t, d.Store.WalkForward.BeginScoring(ctx, d.Claim(candidates, "w"), id, []float64{5, 50}))
	for fold := range d.WalkForwardNow(id).Folds {
		job := d.JobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = $2`, id, fold)
		require.NoError(t, d.Store.WalkForward.FinishScore(ctx, d.Claim(job, "w"), id, fold, []float64{1}, sweep.Stretch{}))
	}
	collect := d.Claim(d.JobOf(`select collect_job_id from wfo_runs where id = $1`, id), "w")
	require.NoError(t, d.Store.WalkForward.Complete(ctx, collect, id, &sweep.WFOOutcome{}))
	require.Equal(t, walkforward.Completed, d.WalkForwardNow(id).Status)
}

// One that failed when it was judged has no fold to run: it is judged again, once the workspace's cap has room.
func TestARetriedWalkForwardWithoutOpenFoldsIsJudgedAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("1", 2, false)
	for _, fold := range folds {
		d.RunFold(fold, storetest.OutcomeOf(5))
	}
	candidates := d.Claim(d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID), "w")
	require.NoError(t, d.Store.WalkForward.BeginScoring(ctx, candidates, wfo.ID, []float64{5, 50}))
	score := d.Claim(d.JobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = 0`, wfo.ID), "w")
	require.NoError(t, d.Store.WalkForward.Fail(ctx, score, wfo.ID, store.Failure{Reason: "no luck", Final: true}))
	require.False(t, d.WalkForwardNow(wfo.ID).Retryable())
	first, _ := d.Tune("2")
	d.Tune("3")
	_, err := retry(d, wfo.ID)
	require.NoError(t, err)
	now := d.WalkForwardNow(wfo.ID)
	require.Equal(t, walkforward.Pending, now.Status)
	require.False(t, now.Admitted)
	_, err = d.Store.Tuning.Cancel(ctx, d.Space.ID, first.ID)
	require.NoError(t, err)
	require.Equal(t, walkforward.Running, d.WalkForwardNow(wfo.ID).Status)
	lost, err := d.Store.Workers.LostWork(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, lost)
	judge(t, d, wfo.ID)
	events := d.EventTypes(wfo.ID)
	require.Contains(t, events, "wfo.run.running")
	require.Equal(t, "wfo.run.completed", events[len(events)-1])
}
