package walkforward_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/walkforward"
)

func TestTransitionsEndNothingTwiceAndAreRefusedAfterTheEnd(t *testing.T) {
	t.Parallel()
	storetest.RunTransitions(t, walkForwardMachines())
}

// The folds of a walk-forward that ends early end with it, each with its event.
func TestTheFoldsOfACanceledWalkForwardEachRecordTheirEnd(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	wfo, folds := d.WalkForward("k", 3, false)
	_, err := d.Store.WalkForward.Cancel(t.Context(), d.Space.ID, wfo.ID)
	require.NoError(t, err)
	for i := range folds {
		d.CheckEnd(foldSubject("fold", wfo.ID, i), storetest.Move{}, storetest.Move{}, nil, "the walk-forward was canceled")
	}
	require.Equal(t, 3, d.Count(`select count(*) from event_log where type = 'wfo.fold.canceled' and entity_id = $1::uuid::text`, wfo.ID))
}

func cancelsWFO(d *storetest.Fixture, id uuid.UUID) storetest.Move {
	return storetest.Move{Name: "cancel the walk-forward", Do: func(ctx context.Context) error {
		_, err := d.Store.WalkForward.Cancel(ctx, d.Space.ID, id)
		return err
	}, Subject: "walk-forward", Ends: "canceled"}
}

func failsWFO(d *storetest.Fixture, lease store.Lease, id uuid.UUID) storetest.Move {
	return storetest.Move{Name: "fail the walk-forward", Do: func(ctx context.Context) error {
		return d.Store.WalkForward.Fail(ctx, lease, id, store.Failure{Reason: "it cannot be worked"})
	}, Subject: "walk-forward", Ends: "failed"}
}

// foldSubject is a fold of a walk-forward: its events carry its index.
func foldSubject(name string, wfo uuid.UUID, index int) storetest.Subject {
	return storetest.Subject{Name: name, Args: []any{wfo, index},
		Status: `select status from wfo_folds where wfo_id = $1 and fold = $2`,
		Events: `select payload ->> 'status' from event_log
		          where entity_id = $1::uuid::text and type like 'wfo.fold.%' and (payload ->> 'fold')::int = $2 order by xid, id`}
}

// wfoSubject is a walk-forward; the events of its folds have its id too.
func wfoSubject(id uuid.UUID) storetest.Subject {
	return storetest.Subject{Name: "walk-forward", Args: []any{id},
		Status: `select status from wfo_runs where id = $1`,
		Events: `select payload ->> 'status' from event_log where entity_id = $1::uuid::text and type like 'wfo.run.%' order by xid, id`}
}

func walkForwardMachines() []storetest.Machine {
	return []storetest.Machine{
		{Name: "queued folds", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			wfo, folds := admittedWFO(d, key, 2)
			one, two := *folds[0].TuneID, *folds[1].TuneID
			lease, other := d.Claim(d.PlanJob(one), "w"), d.Claim(d.PlanJob(two), "w")
			second := d.FailsTune(other, two)
			second.Name, second.Subject = "fail the other fold", "other tune"
			return foldSubjects(wfo, folds), []storetest.Move{
				d.CancelsTune(one), d.FailsTune(lease, one), second, cancelsWFO(d, wfo.ID), d.Loses(lease.JobID), d.Reconciles(),
			}
		}},
		{Name: "fold being ranked", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			wfo, folds := admittedWFO(d, key, 2)
			one, two := *folds[0].TuneID, *folds[1].TuneID
			lease, other := d.ToCollect(one), d.ToCollect(two)
			second := d.CompletesTune(other, two)
			second.Name, second.Subject = "complete the other fold", "other tune"
			return foldSubjects(wfo, folds), []storetest.Move{
				d.CancelsTune(one), d.FailsTune(lease, one), d.CompletesTune(lease, one), second,
				cancelsWFO(d, wfo.ID), d.Loses(lease.JobID), d.Reconciles(),
			}
		}},
		{Name: "walk-forward being scored", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			wfo, folds := scoringWFO(d, key)
			job := d.JobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = 0`, wfo.ID)
			lease := d.Claim(job, "w")
			return foldSubjects(wfo, folds), []storetest.Move{
				cancelsWFO(d, wfo.ID), failsWFO(d, lease, wfo.ID), d.Loses(job), d.Reconciles(),
				{Name: "finish a score", Do: func(ctx context.Context) error {
					return d.Store.WalkForward.FinishScore(ctx, lease, wfo.ID, 0, []float64{1}, sweep.Stretch{})
				}},
			}
		}},
		{Name: "walk-forward being collected", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			wfo, folds := scoringWFO(d, key)
			for i := range folds {
				job := d.JobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = $2`, wfo.ID, i)
				require.NoError(d.T, d.Store.WalkForward.FinishScore(d.T.Context(), d.Claim(job, "w"), wfo.ID, i, []float64{1}, sweep.Stretch{}))
			}
			lease := d.Claim(d.JobOf(`select collect_job_id from wfo_runs where id = $1`, wfo.ID), "w")
			return foldSubjects(wfo, folds), []storetest.Move{
				cancelsWFO(d, wfo.ID), failsWFO(d, lease, wfo.ID), d.Loses(lease.JobID), d.Reconciles(),
				{Name: "complete the walk-forward", Do: func(ctx context.Context) error {
					return d.Store.WalkForward.Complete(ctx, lease, wfo.ID, &sweep.WFOOutcome{})
				}, Subject: "walk-forward", Ends: "completed"},
			}
		}},
	}
}

func foldSubjects(wfo *walkforward.Run, folds []walkforward.Fold) []storetest.Subject {
	return []storetest.Subject{
		wfoSubject(wfo.ID),
		storetest.StatusSubject("tune", "tunes", *folds[0].TuneID), storetest.StatusSubject("other tune", "tunes", *folds[1].TuneID),
		foldSubject("fold", wfo.ID, 0), foldSubject("other fold", wfo.ID, 1),
	}
}

func admittedWFO(d *storetest.Fixture, key string, folds int) (*walkforward.Run, []walkforward.Fold) {
	d.T.Helper()
	d.Alone(4)
	return d.WalkForward(key, folds, false)
}

// scoringWFO is a walk-forward of two folds that has its candidates.
func scoringWFO(d *storetest.Fixture, key string) (*walkforward.Run, []walkforward.Fold) {
	d.T.Helper()
	wfo, folds := admittedWFO(d, key, 2)
	for _, fold := range folds {
		d.RunFold(fold, storetest.OutcomeOf(5))
	}
	candidates := d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)
	require.NoError(d.T, d.Store.WalkForward.BeginScoring(d.T.Context(), d.Claim(candidates, "w"), wfo.ID, []float64{5, 50}))
	return wfo, folds
}
