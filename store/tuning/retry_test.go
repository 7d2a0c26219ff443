package tuning_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

func retry(ctx context.Context, d *storetest.Fixture, id uuid.UUID, key string, depth int) (store.Response, error) {
	sub := store.Submission{Workspace: d.Space.ID, Route: "retry", Key: key}
	return d.Store.Tuning.Retry(ctx, sub, depth, id, func(t *tuning.Tune) (store.Response, error) {
		body, err := json.Marshal(t.Retries)
		return store.Response{Status: http.StatusAccepted, Body: body}, err
	})
}

// begin plans a tune of two shards by one engine.
func begin(t *testing.T, d *storetest.Fixture, id uuid.UUID) store.Lease {
	t.Helper()
	lease := d.Claim(d.PlanJob(id), "w")
	require.NoError(t, d.Store.Tuning.Begin(t.Context(), lease, id, tuning.Plan{Shards: storetest.TwoShards(), Work: 4, Stamp: backtest.Stamp{Engine: "1"}}))
	return lease
}

func done(shard int) tuning.ShardDone {
	return tuning.ShardDone{Shard: shard, Completed: 2, Columns: []byte{byte(shard + 1)}, Stamp: backtest.Stamp{Engine: "1"}}
}

func TestARetriedTuneKeepsTheShardsThatWereDone(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	begin(t, d, tune.ID)
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 0), "w"), tune.ID, done(0)))
	stale := d.Claim(d.ShardJob(tune.ID, 1), "w")
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)

	resp, err := retry(ctx, d, tune.ID, "again", 0)
	require.NoError(t, err)
	require.Equal(t, "1", string(resp.Body))
	now, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.Equal(t, tuning.Queued, now.Status)
	require.Equal(t, 2, now.Progress.Done(), "of the shard that was done")
	require.Nil(t, now.CompletedAt)
	require.Equal(t, "available", d.JobState(d.PlanJob(tune.ID)), "the cap has room")
	again, err := retry(ctx, d, tune.ID, "again", 0)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where kind = 'tune.plan' and state = 'available'`), "a repeated request runs it once")
	_, err = retry(ctx, d, tune.ID, "other", 0)
	var unfit *store.NotRetryableError
	require.ErrorAs(t, err, &unfit)
	require.Equal(t, "queued", unfit.Reason)

	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, stale, tune.ID, done(1)), store.ErrEnded, "a job of before that did not notice")
	require.NoError(t, d.Store.Tuning.Resume(ctx, d.Claim(d.PlanJob(tune.ID), "w"), tune.ID))
	require.ErrorIs(t, d.Store.Tuning.FinishShard(ctx, stale, tune.ID, done(1)), store.ErrEnded)
	require.ErrorIs(t, d.Store.Tuning.ReportShard(ctx, stale, tune.ID, 1, 1), store.ErrEnded)
	require.Equal(t, []byte{1}, columns(t, d, tune.ID, 0), "it is not run twice")
	require.Equal(t, 1, d.Count(`select count(*) from river_job where kind = 'tune.shard' and state = 'available'`))
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 1), "w"), tune.ID, done(1)))
	lease := d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID), "w")
	require.NoError(t, d.Store.Tuning.Complete(ctx, lease, tune.ID, &sweep.Outcome{}))
	require.Equal(t, []string{
		"backtest.tune.queued", "backtest.tune.running", "backtest.tune.progress", "backtest.tune.canceled",
		"backtest.tune.queued", "backtest.tune.running", "backtest.tune.progress", "backtest.tune.completed",
	}, d.EventTypes(tune.ID))
}

func columns(t *testing.T, d *storetest.Fixture, tune uuid.UUID, shard int) []byte {
	t.Helper()
	found, err := d.Store.Tuning.ShardColumns(t.Context(), d.Space.ID, tune, shard)
	require.NoError(t, err)
	return found
}

// The plan job of before, which was asked to stop and has not noticed, may not begin the tune that waits for its workspace's cap.
func TestAPlanJobThatWasAskedToStopDoesNotBeginARetriedTune(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("1")
	stale := d.Claim(plan, "w")
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	for _, key := range []string{"2", "3"} {
		d.Tune(key) // they take the cap
	}
	_, err = retry(ctx, d, tune.ID, "", 0)
	require.NoError(t, err)
	require.Equal(t, "pending", d.JobState(d.PlanJob(tune.ID)))
	require.ErrorIs(t, d.Store.Tuning.Begin(ctx, stale, tune.ID, tuning.Plan{Shards: storetest.TwoShards()}), store.ErrEnded)
	require.ErrorIs(t, d.Store.Tuning.Fail(ctx, stale, tune.ID, store.Failure{Reason: "late"}), store.ErrEnded)
	require.Equal(t, tuning.Queued, d.TuneStatus(tune.ID))
}

// A tune whose shards were all done continues with what follows them, and what retention took the trials of begins again.
func TestARetriedTuneContinuesWhereItWas(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	begin(t, d, tune.ID)
	for shard := range 2 {
		require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, shard), "w"), tune.ID, done(shard)))
	}
	collect := d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID), "w")
	require.NoError(t, d.Store.Tuning.Fail(ctx, collect, tune.ID, store.Failure{Reason: "out of luck"}))
	_, err := retry(ctx, d, tune.ID, "", 0)
	require.NoError(t, err)
	require.NoError(t, d.Store.Tuning.Resume(ctx, d.Claim(d.PlanJob(tune.ID), "w"), tune.ID))
	collect = d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID), "w")
	require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and kind = 'tune.collect'`, collect.JobID))
	lost, err := d.Store.Workers.LostWork(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, lost, "every step has a live job")
	require.NoError(t, d.Store.Tuning.Fail(ctx, collect, tune.ID, store.Failure{Reason: "out of luck"}))
	now, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.True(t, now.Retryable())

	d.Exec(`update tunes set trials_dropped_at = now()`)
	_, err = retry(ctx, d, tune.ID, "", 0)
	require.NoError(t, err)
	now, err = d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.False(t, now.Planned)
	require.Zero(t, now.Progress.Done())
	require.Equal(t, 2, now.Retries)
	begin(t, d, tune.ID)
}

// A worker of a later engine begins a retried tune again, and keeps nothing of the older one.
func TestARetriedTuneOfAnOlderEngineBeginsAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	begin(t, d, tune.ID)
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 0), "w"), tune.ID, done(0)))
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	_, err = retry(ctx, d, tune.ID, "", 0)
	require.NoError(t, err)
	require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(d.PlanJob(tune.ID), "w"), tune.ID, tuning.Plan{Shards: storetest.TwoShards(), Stamp: backtest.Stamp{Engine: "2"}}))
	now, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.Zero(t, now.Progress.Done())
	require.Equal(t, "1", *now.RestartedFrom)
	require.Zero(t, d.Count(`select count(*) from tune_shards where done`))
}

func TestARetryIsHeldToDepthAndQuota(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	limit := 11
	tune, _ := d.Tune("1")
	_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	d.Tune("2")
	_, err = retry(ctx, d, tune.ID, "k", 1)
	require.ErrorIs(t, err, store.ErrQueueFull)
	_, err = d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: &limit}})
	require.NoError(t, err)
	var quota *store.QuotaError
	_, err = retry(ctx, d, tune.ID, "k", 2)
	require.ErrorAs(t, err, &quota)
	require.EqualValues(t, 4, quota.Asked)
	require.Equal(t, tuning.Canceled, d.TuneStatus(tune.ID))
	_, err = retry(ctx, d, uuid.New(), "k", 2)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestRetryOfARunPlanRunsWhatWasNotCompleted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	plan, variants := runPlan(d, "plan", 3)
	require.NoError(t, d.Store.Tuning.CancelRunPlan(ctx, d.Space.ID, plan))
	sub := store.Submission{Workspace: d.Space.ID, Route: "retry"}
	var now *tuning.RunPlan
	render := func(p *tuning.RunPlan, _ []tuning.RunPlanVariant) (store.Response, error) {
		now = p
		return store.Response{}, nil
	}
	_, err := d.Store.Tuning.RetryRunPlan(ctx, sub, 0, plan, render)
	require.NoError(t, err)
	require.Equal(t, tuning.RunPlanRunning, now.Status)
	require.Zero(t, now.VariantsDone)
	for _, id := range variants {
		require.Equal(t, tuning.Queued, d.TuneStatus(id))
		_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, id)
		require.NoError(t, err)
	}
	got, ended, err := d.Store.Tuning.RunPlan(ctx, d.Space.ID, plan)
	require.NoError(t, err)
	require.Equal(t, tuning.RunPlanCanceled, got.Status)
	for _, v := range ended {
		require.True(t, v.Retryable)
	}
	d.Exec(`update tunes set status = 'failed', final = true where id = $1`, ended[1].TuneID)
	_, ended, err = d.Store.Tuning.RunPlan(ctx, d.Space.ID, plan)
	require.NoError(t, err)
	require.False(t, ended[1].Retryable)
	require.Equal(t, len(variants), got.VariantsDone)
	_, err = retry(ctx, d, variants[0], "", 0)
	require.NoError(t, err)
	got, _, err = d.Store.Tuning.RunPlan(ctx, d.Space.ID, plan)
	require.NoError(t, err)
	require.Equal(t, tuning.RunPlanRunning, got.Status, "one of its variants runs again")
	require.Equal(t, len(variants)-1, got.VariantsDone)
}

// What failed of its own input is not offered to run again; it may, and is offered again once it failed of something else.
func TestWhatWouldFailAgainIsNotRetryable(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("1")
	get := func() *tuning.Tune {
		now, err := d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
		require.NoError(t, err)
		return now
	}
	require.False(t, get().Retryable(), "it waits")
	require.NoError(t, d.Store.Tuning.Fail(ctx, d.Claim(plan, "w"), tune.ID, store.Failure{Reason: "the script is gone", Final: true}))
	require.True(t, get().Final)
	require.False(t, get().Retryable())
	_, err := retry(ctx, d, tune.ID, "", 0)
	require.NoError(t, err)
	require.False(t, get().Final)
	_, err = d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
	require.NoError(t, err)
	require.True(t, get().Retryable())
}
