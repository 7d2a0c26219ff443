package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
)

func (d *fixture) cancelsTune(id uuid.UUID) move {
	return move{name: "cancel", do: func(ctx context.Context) error {
		_, err := d.store.Tuning.Cancel(ctx, d.space.ID, id)
		return err
	}, subject: "tune", ends: "canceled"}
}

func (d *fixture) failsTune(lease store.Lease, id uuid.UUID) move {
	return move{name: "fail", do: func(ctx context.Context) error { return d.store.Tuning.Fail(ctx, lease, id, "it cannot be worked") }, subject: "tune", ends: "failed"}
}

func (d *fixture) completesTune(lease store.Lease, id uuid.UUID) move {
	return move{name: "complete", do: func(ctx context.Context) error {
		return d.store.Tuning.Complete(ctx, lease, id, outcomeOf(5, 10))
	}, subject: "tune", ends: "completed"}
}

// alone ends what earlier rounds have left, so that the workspace's cap has room.
func (d *fixture) alone(limit int) {
	d.t.Helper()
	d.exec(`update tunes set status = 'canceled', completed_at = now() where status in ('queued', 'running')`)
	d.exec(`update wfo_runs set status = 'canceled', completed_at = now() where status in ('pending', 'running')`)
	d.exec(`update run_plans set status = 'canceled', completed_at = now() where status = 'running'`)
	d.exec(`update workspaces set tune_cap = $1`, limit)
}

// tuneAlone is a tune that waits for no other.
func (d *fixture) tuneAlone(key string) (*tuning.Tune, int64) {
	d.t.Helper()
	d.alone(4)
	return d.tune(key)
}

// toCollect takes a tune to where it is ranked, and returns the lease of the job that ranks.
func (d *fixture) toCollect(id uuid.UUID) store.Lease {
	d.t.Helper()
	ctx := d.t.Context()
	require.NoError(d.t, d.store.Tuning.Begin(ctx, d.claim(d.planJob(id), "w"), id, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
	require.NoError(d.t, d.store.Tuning.FinishShard(ctx, d.claim(d.shardJob(id, 0), "w"), id, tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
	return d.claim(d.jobOf(`select collect_job_id from tune_progress where tune_id = $1`, id), "w")
}

func tuneMachines() []machine {
	oneShard := tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}
	return []machine{
		{"queued tune", func(d *fixture, key string) ([]subject, []move) {
			tune, job := d.tuneAlone(key)
			lease := d.claim(job, "w")
			return []subject{statusSubject("tune", "tunes", tune.ID)}, []move{
				d.cancelsTune(tune.ID), d.failsTune(lease, tune.ID), d.loses(job), d.reconciles(),
				{name: "begin", do: func(ctx context.Context) error { return d.store.Tuning.Begin(ctx, lease, tune.ID, oneShard) }},
			}
		}},
		{"running tune", func(d *fixture, key string) ([]subject, []move) {
			tune, job := d.tuneAlone(key)
			require.NoError(d.t, d.store.Tuning.Begin(d.t.Context(), d.claim(job, "w"), tune.ID, tuning.Plan{Shards: twoShards}))
			first, second := d.shardJob(tune.ID, 0), d.shardJob(tune.ID, 1)
			lease, other := d.claim(first, "w"), d.claim(second, "w")
			return []subject{statusSubject("tune", "tunes", tune.ID)}, []move{
				d.cancelsTune(tune.ID), d.failsTune(lease, tune.ID), d.loses(first), d.reconciles(),
				{name: "report", do: func(ctx context.Context) error { return d.store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 1) }},
				{name: "finish a shard", do: func(ctx context.Context) error {
					return d.store.Tuning.FinishShard(ctx, lease, tune.ID, tuning.ShardDone{Completed: 2, Columns: []byte{1}})
				}},
				{name: "finish the other shard", do: func(ctx context.Context) error {
					return d.store.Tuning.FinishShard(ctx, other, tune.ID, tuning.ShardDone{Shard: 1, Completed: 2, Columns: []byte{1}})
				}},
			}
		}},
		{"tune between rounds", func(d *fixture, key string) ([]subject, []move) {
			tune, plan := d.tuneAlone(key)
			ctx := d.t.Context()
			require.NoError(d.t, d.store.Tuning.Begin(ctx, d.claim(plan, "w"), tune.ID, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}, Rounds: 2}))
			require.NoError(d.t, d.store.Tuning.FinishShard(ctx, d.claim(d.shardJob(tune.ID, 0), "w"), tune.ID, tuning.ShardDone{Completed: 2, Columns: []byte{1}}))
			job, _ := d.roundJob(tune.ID)
			lease := d.claim(job, "w")
			return []subject{statusSubject("tune", "tunes", tune.ID)}, []move{
				d.cancelsTune(tune.ID), d.failsTune(lease, tune.ID), d.loses(job), d.reconciles(),
				{name: "begin the round", do: func(ctx context.Context) error {
					return d.store.Tuning.BeginRound(ctx, lease, tune.ID, tuning.Round{Round: 1, Shards: []sweep.Shard{{Index: 1, Trials: 2, Rung: 1}}})
				}},
			}
		}},
		{"tune being ranked", func(d *fixture, key string) ([]subject, []move) {
			tune, _ := d.tuneAlone(key)
			lease := d.toCollect(tune.ID)
			return []subject{statusSubject("tune", "tunes", tune.ID)}, []move{
				d.cancelsTune(tune.ID), d.failsTune(lease, tune.ID), d.completesTune(lease, tune.ID), d.loses(lease.JobID), d.reconciles(),
			}
		}},
		{"tune that waits for another", func(d *fixture, key string) ([]subject, []move) {
			d.alone(1)
			running, job := d.tune(key + "running")
			waiting, _ := d.tune(key + "waiting")
			lease := d.claim(job, "w")
			cancelWaiting, cancelRunning, failRunning := d.cancelsTune(waiting.ID), d.cancelsTune(running.ID), d.failsTune(lease, running.ID)
			cancelWaiting.name, cancelWaiting.subject = "cancel the waiting", "waiting"
			return []subject{statusSubject("tune", "tunes", running.ID), statusSubject("waiting", "tunes", waiting.ID)},
				[]move{cancelWaiting, cancelRunning, failRunning, d.reconciles()}
		}},
		{"run plan", func(d *fixture, key string) ([]subject, []move) {
			d.alone(4)
			plan, tunes := d.runPlan(key, 2)
			lease := d.claim(d.planJob(tunes[0]), "w")
			second := d.toCollect(tunes[1])
			one, fail, two := d.cancelsTune(tunes[0]), d.failsTune(lease, tunes[0]), d.completesTune(second, tunes[1])
			two.subject, two.name = "second", "complete the second"
			return []subject{
					statusSubject("plan", "run_plans", plan), statusSubject("tune", "tunes", tunes[0]), statusSubject("second", "tunes", tunes[1]),
				}, []move{
					one, fail, two, d.loses(second.JobID), d.reconciles(),
					{name: "cancel the plan", always: true, do: func(ctx context.Context) error { return d.store.Tuning.CancelRunPlan(ctx, d.space.ID, plan) }},
				}
		}},
	}
}

// runPlan submits a plan with so many variants, and returns it with their tunes.
func (d *fixture) runPlan(key string, variants int) (uuid.UUID, []uuid.UUID) {
	d.t.Helper()
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	in := tuning.NewRunPlan{Name: "plan", Base: json.RawMessage(`{}`), Plan: json.RawMessage(`{}`)}
	for i := range variants {
		in.Variants = append(in.Variants, tuning.NewVariant{
			ID: fmt.Sprintf("%016x", i), Kind: "grid", Label: "l", Overrides: json.RawMessage(`{}`),
			Tune: tuning.NewTune{DatasetID: d.dataset.ID, Dataset: d.dataset.Name, Spec: spec, Trials: 4},
		})
	}
	var id uuid.UUID
	var tunes []uuid.UUID
	_, err := d.store.Tuning.CreateRunPlan(d.t.Context(), store.Submission{Workspace: d.space.ID, Route: "test", Key: key}, in,
		func(plan *tuning.RunPlan, all []tuning.RunPlanVariant) (store.Response, error) {
			id = plan.ID
			for _, v := range all {
				tunes = append(tunes, v.TuneID)
			}
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(d.t, err)
	return id, tunes
}
