package tuning_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

func TestTransitionsEndNothingTwiceAndAreRefusedAfterTheEnd(t *testing.T) {
	t.Parallel()
	storetest.RunTransitions(t, tuneMachines())
}

// tuneAlone is a tune that waits for no other.
func tuneAlone(d *storetest.Fixture, key string) (*tuning.Tune, int64) {
	d.T.Helper()
	d.Alone(4)
	return d.Tune(key)
}

func tuneMachines() []storetest.Machine {
	oneShard := tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}
	return []storetest.Machine{
		{Name: "queued tune", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			tune, job := tuneAlone(d, key)
			lease := d.Claim(job, "w")
			return []storetest.Subject{storetest.StatusSubject("tune", "tunes", tune.ID)}, []storetest.Move{
				d.CancelsTune(tune.ID), d.FailsTune(lease, tune.ID), d.Loses(job), d.Reconciles(),
				{Name: "begin", Do: func(ctx context.Context) error { return d.Store.Tuning.Begin(ctx, lease, tune.ID, oneShard) }},
			}
		}},
		{Name: "running tune", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			tune, job := tuneAlone(d, key)
			require.NoError(d.T, d.Store.Tuning.Begin(d.T.Context(), d.Claim(job, "w"), tune.ID, tuning.Plan{Shards: storetest.TwoShards()}))
			first, second := d.ShardJob(tune.ID, 0), d.ShardJob(tune.ID, 1)
			lease, other := d.Claim(first, "w"), d.Claim(second, "w")
			return []storetest.Subject{storetest.StatusSubject("tune", "tunes", tune.ID)}, []storetest.Move{
				d.CancelsTune(tune.ID), d.FailsTune(lease, tune.ID), d.Loses(first), d.Reconciles(),
				{Name: "report", Do: func(ctx context.Context) error { return d.Store.Tuning.ReportShard(ctx, lease, tune.ID, 0, 1) }},
				{Name: "finish a shard", Do: func(ctx context.Context) error {
					return d.Store.Tuning.FinishShard(ctx, lease, tune.ID, tuning.ShardDone{Completed: 2, Columns: []byte{1}})
				}},
				{Name: "finish the other shard", Do: func(ctx context.Context) error {
					return d.Store.Tuning.FinishShard(ctx, other, tune.ID, tuning.ShardDone{Shard: 1, Completed: 2, Columns: []byte{1}})
				}},
			}
		}},
		{Name: "tune between rounds", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			tune, plan := tuneAlone(d, key)
			ctx := d.T.Context()
			require.NoError(d.T, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}, Rounds: 2}))
			require.NoError(d.T, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 0), "w"), tune.ID, tuning.ShardDone{Completed: 2, Columns: []byte{1}}))
			job, _ := roundJob(d, tune.ID)
			lease := d.Claim(job, "w")
			return []storetest.Subject{storetest.StatusSubject("tune", "tunes", tune.ID)}, []storetest.Move{
				d.CancelsTune(tune.ID), d.FailsTune(lease, tune.ID), d.Loses(job), d.Reconciles(),
				{Name: "begin the round", Do: func(ctx context.Context) error {
					return d.Store.Tuning.BeginRound(ctx, lease, tune.ID, tuning.Round{Round: 1, Shards: []sweep.Shard{{Index: 1, Trials: 2, Rung: 1}}})
				}},
			}
		}},
		{Name: "tune being ranked", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			tune, _ := tuneAlone(d, key)
			lease := d.ToCollect(tune.ID)
			return []storetest.Subject{storetest.StatusSubject("tune", "tunes", tune.ID)}, []storetest.Move{
				d.CancelsTune(tune.ID), d.FailsTune(lease, tune.ID), d.CompletesTune(lease, tune.ID), d.Loses(lease.JobID), d.Reconciles(),
			}
		}},
		{Name: "tune that waits for another", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			d.Alone(1)
			running, job := d.Tune(key + "running")
			waiting, _ := d.Tune(key + "waiting")
			lease := d.Claim(job, "w")
			cancelWaiting, cancelRunning, failRunning := d.CancelsTune(waiting.ID), d.CancelsTune(running.ID), d.FailsTune(lease, running.ID)
			cancelWaiting.Name, cancelWaiting.Subject = "cancel the waiting", "waiting"
			return []storetest.Subject{storetest.StatusSubject("tune", "tunes", running.ID), storetest.StatusSubject("waiting", "tunes", waiting.ID)},
				[]storetest.Move{cancelWaiting, cancelRunning, failRunning, d.Reconciles()}
		}},
		{Name: "run plan", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			d.Alone(4)
			plan, tunes := runPlan(d, key, 2)
			lease := d.Claim(d.PlanJob(tunes[0]), "w")
			second := d.ToCollect(tunes[1])
			one, fail, two := d.CancelsTune(tunes[0]), d.FailsTune(lease, tunes[0]), d.CompletesTune(second, tunes[1])
			two.Subject, two.Name = "second", "complete the second"
			return []storetest.Subject{
					storetest.StatusSubject("plan", "run_plans", plan), storetest.StatusSubject("tune", "tunes", tunes[0]), storetest.StatusSubject("second", "tunes", tunes[1]),
				}, []storetest.Move{
					one, fail, two, d.Loses(second.JobID), d.Reconciles(),
					{Name: "cancel the plan", Always: true, Do: func(ctx context.Context) error { return d.Store.Tuning.CancelRunPlan(ctx, d.Space.ID, plan) }},
				}
		}},
	}
}
