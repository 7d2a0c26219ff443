package store_test

import (
	"context"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/walkforward"
)

func (d *fixture) cancelsWFO(id uuid.UUID) move {
	return move{name: "cancel the walk-forward", do: func(ctx context.Context) error {
		_, err := d.store.WalkForward.Cancel(ctx, d.space.ID, id)
		return err
	}, subject: "walk-forward", ends: "canceled"}
}

func (d *fixture) failsWFO(lease store.Lease, id uuid.UUID) move {
	return move{name: "fail the walk-forward", do: func(ctx context.Context) error {
		return d.store.WalkForward.Fail(ctx, lease, id, "it cannot be worked")
	}, subject: "walk-forward", ends: "failed"}
}

// foldSubject is a fold of a walk-forward: its events carry its index.
func foldSubject(name string, wfo uuid.UUID, index int) subject {
	return subject{name: name, args: []any{wfo, index},
		status: `select status from wfo_folds where wfo_id = $1 and fold = $2`,
		events: `select payload ->> 'status' from event_log
		          where entity_id = $1::uuid::text and type like 'wfo.fold.%' and (payload ->> 'fold')::int = $2 order by xid, id`}
}

// wfoSubject is a walk-forward; the events of its folds have its id too.
func wfoSubject(id uuid.UUID) subject {
	return subject{name: "walk-forward", args: []any{id},
		status: `select status from wfo_runs where id = $1`,
		events: `select payload ->> 'status' from event_log where entity_id = $1::uuid::text and type like 'wfo.run.%' order by xid, id`}
}

func walkForwardMachines() []machine {
	return []machine{
		{"queued folds", func(d *fixture, key string) ([]subject, []move) {
			wfo, folds := d.admittedWFO(key, 2)
			one, two := *folds[0].TuneID, *folds[1].TuneID
			lease, other := d.claim(d.planJob(one), "w"), d.claim(d.planJob(two), "w")
			second := d.failsTune(other, two)
			second.name, second.subject = "fail the other fold", "other tune"
			return foldSubjects(wfo, folds), []move{
				d.cancelsTune(one), d.failsTune(lease, one), second, d.cancelsWFO(wfo.ID), d.loses(lease.JobID), d.reconciles(),
			}
		}},
		{"fold being ranked", func(d *fixture, key string) ([]subject, []move) {
			wfo, folds := d.admittedWFO(key, 2)
			one, two := *folds[0].TuneID, *folds[1].TuneID
			lease, other := d.toCollect(one), d.toCollect(two)
			second := d.completesTune(other, two)
			second.name, second.subject = "complete the other fold", "other tune"
			return foldSubjects(wfo, folds), []move{
				d.cancelsTune(one), d.failsTune(lease, one), d.completesTune(lease, one), second,
				d.cancelsWFO(wfo.ID), d.loses(lease.JobID), d.reconciles(),
			}
		}},
		{"walk-forward being scored", func(d *fixture, key string) ([]subject, []move) {
			wfo, folds := d.scoringWFO(key)
			job := d.jobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = 0`, wfo.ID)
			lease := d.claim(job, "w")
			return foldSubjects(wfo, folds), []move{
				d.cancelsWFO(wfo.ID), d.failsWFO(lease, wfo.ID), d.loses(job), d.reconciles(),
				{name: "finish a score", do: func(ctx context.Context) error {
					return d.store.WalkForward.FinishScore(ctx, lease, wfo.ID, 0, []float64{1}, sweep.Stretch{})
				}},
			}
		}},
		{"walk-forward being collected", func(d *fixture, key string) ([]subject, []move) {
			wfo, folds := d.scoringWFO(key)
			for i := range folds {
				job := d.jobOf(`select score_job_id from wfo_folds where wfo_id = $1 and fold = $2`, wfo.ID, i)
				require.NoError(d.t, d.store.WalkForward.FinishScore(d.t.Context(), d.claim(job, "w"), wfo.ID, i, []float64{1}, sweep.Stretch{}))
			}
			lease := d.claim(d.jobOf(`select collect_job_id from wfo_runs where id = $1`, wfo.ID), "w")
			return foldSubjects(wfo, folds), []move{
				d.cancelsWFO(wfo.ID), d.failsWFO(lease, wfo.ID), d.loses(lease.JobID), d.reconciles(),
				{name: "complete the walk-forward", do: func(ctx context.Context) error {
					return d.store.WalkForward.Complete(ctx, lease, wfo.ID, &sweep.WFOOutcome{})
				}, subject: "walk-forward", ends: "completed"},
			}
		}},
	}
}

func foldSubjects(wfo *walkforward.Run, folds []walkforward.Fold) []subject {
	return []subject{
		wfoSubject(wfo.ID),
		statusSubject("tune", "tunes", *folds[0].TuneID), statusSubject("other tune", "tunes", *folds[1].TuneID),
		foldSubject("fold", wfo.ID, 0), foldSubject("other fold", wfo.ID, 1),
	}
}

func (d *fixture) admittedWFO(key string, folds int) (*walkforward.Run, []walkforward.Fold) {
	d.t.Helper()
	d.alone(4)
	return d.wfo(key, folds, false)
}

// scoringWFO is a walk-forward of two folds that has its candidates.
func (d *fixture) scoringWFO(key string) (*walkforward.Run, []walkforward.Fold) {
	d.t.Helper()
	wfo, folds := d.admittedWFO(key, 2)
	for _, fold := range folds {
		d.runFold(fold, outcomeOf(5))
	}
	candidates := d.jobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)
	require.NoError(d.t, d.store.WalkForward.BeginScoring(d.t.Context(), d.claim(candidates, "w"), wfo.ID, []float64{5, 50}))
	return wfo, folds
}
