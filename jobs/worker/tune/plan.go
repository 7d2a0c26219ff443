package tune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/jobs/worker/attempt"
	"millrace/store"
	"millrace/store/tuning"
)

// plan cuts the tune into shards of about a second of compute each and enqueues the first.
func (w *Workers) plan(ctx context.Context, args jobs.TunePlanArgs, lease store.Lease) error {
	defer w.begin(PartPlan)()
	tune, err := w.store.Tuning.Get(ctx, args.WorkspaceID, args.TuneID)
	if err != nil {
		return err
	}
	if tune.Stamp.Known() && w.stamp(tune).Before(tune.Stamp) {
		return w.waitForEngine(ctx, tune)
	}
	if err := w.cleared(ctx, tune); err != nil {
		return err
	}
	if args.Own && tune.Status == tuning.Running { // begun by a revision in which the job did not become that of the shard
		return w.continueOwn(ctx, tune, lease)
	}
	if tune.Planned { // it runs again
		older, err := w.older(ctx, tune, args.InsertOpts().Queue)
		if err != nil {
			return err
		}
		if !older {
			return w.save.Save(ctx, lease, func() error { return w.store.Tuning.Resume(ctx, lease, args.TuneID) })
		}
	}
	plan, err := w.plans.get(ctx, tune)
	if err != nil {
		return err
	}
	size, err := w.shardSize(ctx, tune, plan)
	if err != nil {
		return err
	}
	begin := tuning.Plan{Shards: plan.Cut(size), Rounds: plan.Rounds(), Work: plan.Work(), Warnings: plan.Warnings(), Stamp: w.stamp(tune)}
	if !tune.Planned {
		return w.beginFirst(ctx, tune, plan, begin, args.Own && tune.Fold != nil && single(tune, plan, begin.Shards[0]), lease)
	}
	return w.save.Save(ctx, lease, func() error {
		return w.store.Tuning.Begin(ctx, lease, args.TuneID, begin)
	})
}

// checkPause is how long a tune waits before it looks again whether its script has been examined.
const checkPause = time.Second

// cleared has a tune of a script wait until the script has been examined, and fails it when that refused it.
func (w *Workers) cleared(ctx context.Context, tune *tuning.Tune) error {
	pending, err := w.store.Strategies.Pending(ctx, tune.WorkspaceID, tune.Spec.Script)
	if refused := new(store.RefusedScriptError); errors.As(err, &refused) {
		return &attempt.PermanentError{Reason: refused.Error()}
	}
	if err != nil {
		return scriptFault(err)
	}
	if pending {
		return river.JobSnooze(checkPause)
	}
	return nil
}

// advance plans the next round of a tune from the results of those before it.
func (w *Workers) advance(ctx context.Context, args jobs.TuneAdvanceArgs, lease store.Lease) error {
	tune, plan, shards, err := w.ended(ctx, args.WorkspaceID, args.TuneID, lease)
	if err != nil || plan == nil {
		return err
	}
	batch, err := plan.Next(args.Round, shards, func(shard int) ([]byte, error) {
		return w.store.Tuning.ShardColumns(ctx, args.WorkspaceID, args.TuneID, shard)
	})
	if err != nil {
		return fmt.Errorf("plan round %d of tune %s: %w", args.Round, args.TuneID, err)
	}
	size, err := w.shardSize(ctx, tune, plan)
	if err != nil {
		return err
	}
	round := tuning.Round{Round: args.Round, Shards: batch.Cut(len(shards), size), Pruned: batch.Pruned}
	err = w.save.Save(ctx, lease, func() error {
		return w.store.Tuning.BeginRound(ctx, lease, args.TuneID, round)
	})
	if err != nil {
		return err
	}
	w.metrics.TuneTrials.WithLabelValues("skipped").Add(float64(round.Pruned))
	return nil
}

// ended reads a tune whose round has ended, with its plan and shards. There is no plan when the tune was
// begun again instead.
func (w *Workers) ended(ctx context.Context, workspace, id uuid.UUID, lease store.Lease) (*tuning.Tune, *sweep.Plan, []sweep.Shard, error) {
	tune, err := w.store.Tuning.Get(ctx, workspace, id)
	if err != nil {
		return nil, nil, nil, err
	}
	if tune.Status != tuning.Running {
		return nil, nil, nil, fmt.Errorf("tune %s is %s: %w", id, tune.Status, store.ErrEnded)
	}
	if again, err := w.heedStamp(ctx, tune, lease, jobs.QueueTunes); again || err != nil {
		return nil, nil, nil, err
	}
	plan, err := w.plans.get(ctx, tune)
	if err != nil {
		return nil, nil, nil, err
	}
	shards, err := w.store.Tuning.Shards(ctx, workspace, id)
	return tune, plan, shards, err
}

// shardSize cuts the trials that are left into shards of ShardTime, and finer towards the end, down
// to a tenth of it, so that the slots of the fleet finish together: half of what is left is shared out at a time. A fold is cut to a quarter: others run beside it, and one
// that is a single shard takes one job. The results do not depend on the cut.
func (w *Workers) shardSize(ctx context.Context, tune *tuning.Tune, plan *sweep.Plan) (func(left int) int, error) {
	slots, err := w.store.Workers.TrialSlots(ctx)
	if err != nil {
		return nil, err
	}
	perTrial, err := w.plans.pace(tune, plan, func() (time.Duration, error) { return perTrial(ctx, plan) })
	if err != nil {
		return nil, err
	}
	least := w.opts.ShardTime / 10
	if tune.Fold != nil {
		least = w.opts.ShardTime / 4
	}
	return func(left int) int {
		share := perTrial * time.Duration(left) / time.Duration(2*max(slots, 1))
		return int(min(w.opts.ShardTime, max(share, least)) / perTrial)
	}, nil
}
