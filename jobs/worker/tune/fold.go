package tune

import (
	"context"
	"errors"
	"fmt"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
)

// A fold is most often a fraction of a second of compute. To give its plan, its one shard and its ranking a job each took
// longer than the trials did, so one job does all three: what it begins and what it finds are a transaction each.

// single reports whether a shard is all that there is to run of a tune.
func single(tune *tuning.Tune, plan *sweep.Plan, shard sweep.Shard) bool {
	return plan.Rounds() == 1 && !shard.Open && shard.First == 0 && shard.Trials == tune.Trials
}

// beginFirst stores the plan of a tune. With own the job works its shard, which is that of a fold.
func (w *Workers) beginFirst(ctx context.Context, tune *tuning.Tune, plan *sweep.Plan, begin tuning.Plan, own bool, lease store.Lease) error {
	err := w.save.Save(ctx, lease, func() error { return w.store.Tuning.BeginFirst(ctx, lease, tune, begin, own) })
	if !own {
		return err
	}
	if errors.Is(err, store.ErrEnded) { // or it was saved, and the answer was lost
		now, readErr := w.store.Tuning.Get(ctx, tune.WorkspaceID, tune.ID)
		if readErr != nil || now.Status != tuning.Running {
			return err
		}
		return w.continueOwn(ctx, now, lease)
	}
	if err != nil {
		return err
	}
	began := w.store.DB.Clock().Now()
	tune.StartedAt = &began
	return w.finishFold(ctx, plan, tuning.ShardWork{Tune: tune, Shard: begin.Shards[0]}, true, lease)
}

// continueOwn works the shard of a fold that an earlier attempt began.
func (w *Workers) continueOwn(ctx context.Context, tune *tuning.Tune, lease store.Lease) error {
	if again, err := w.heedStamp(ctx, tune, lease, jobs.QueueTrials); again || err != nil {
		return err
	}
	plan, err := w.plans.get(ctx, tune)
	if err != nil {
		return err
	}
	work, err := w.store.Tuning.ShardWork(ctx, tune.WorkspaceID, tune.ID, 0)
	if err != nil {
		return err
	}
	if work.Tune.Status != tuning.Running || !single(work.Tune, plan, work.Shard) {
		return fmt.Errorf("tune %s is %s: %w", tune.ID, work.Tune.Status, store.ErrEnded)
	}
	return w.finishFold(ctx, plan, work, true, lease)
}

// finishFold runs the one shard of a fold, ranks its trials, and ends the fold with all of it at once. planned says that the
// attempt began as that of the plan.
func (w *Workers) finishFold(ctx context.Context, plan *sweep.Plan, work tuning.ShardWork, planned bool, lease store.Lease) error {
	result, err := w.compute(ctx, plan.RunShard, work, lease)
	if err != nil {
		return err
	}
	done := w.done(work, result)
	done.Planned = planned
	if done.Columns, err = result.EncodeColumns(); err != nil {
		return fmt.Errorf("encode shard %d: %w", done.Shard, err)
	}
	found, err := sweep.CollectWhole(plan, result, work.Tune.Leaders)
	if err != nil {
		return fmt.Errorf("collect tune %s: %w", work.Tune.ID, err)
	}
	err = w.save.Save(ctx, lease, func() error { return w.store.Tuning.CompleteFold(ctx, lease, work.Tune, &done, found) })
	if err != nil {
		return err
	}
	w.count(done)
	w.metrics.TuneRunDuration.Observe(w.store.DB.Clock().Now().Sub(*work.Tune.StartedAt).Seconds())
	return nil
}
