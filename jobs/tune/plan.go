package tune

import (
	"context"
	"time"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
)

// plan cuts the tune into shards of about a second of compute each and lets in the first.
func (w *Workers) plan(ctx context.Context, args jobs.TunePlanArgs, lease store.Lease) error {
	tune, err := w.store.Tune(ctx, args.WorkspaceID, args.TuneID)
	if err != nil {
		return err
	}
	plan, err := w.plans.get(ctx, tune)
	if err != nil {
		return err
	}
	slots, err := w.store.TrialSlots(ctx)
	if err != nil {
		return err
	}
	perTrial, err := w.perTrial(ctx, plan)
	if err != nil {
		return err
	}
	shards := plan.Cut(w.shardSize(perTrial, max(slots, 1)))
	return w.save.Save(ctx, lease, func() error {
		return w.store.BeginTune(ctx, lease, args.TuneID, shards, plan.Warnings(), nextJobs(tune))
	})
}

// shardSize cuts the trials that are left into shards of ShardTime, and finer towards the end, down
// to a tenth of it, so that the slots of the fleet finish together. The results do not depend on
// the cut.
func (w *Workers) shardSize(perTrial time.Duration, slots int) func(left int) int {
	return func(left int) int {
		share := perTrial * time.Duration(left) / time.Duration(3*slots)
		return int(min(w.opts.ShardTime, max(share, w.opts.ShardTime/10)) / perTrial)
	}
}

// perTrial is about how long a trial takes, found by running some.
func (w *Workers) perTrial(ctx context.Context, plan *sweep.Plan) (time.Duration, error) {
	const sample = 10 * time.Millisecond
	for trials := 4; ; trials *= 4 {
		trials = min(trials, plan.Trials())
		start := time.Now()
		if _, err := plan.RunShard(ctx, plan.Head(trials), func(int) {}); err != nil {
			return 0, err
		}
		if took := time.Since(start); took >= sample || trials == plan.Trials() {
			return max(took/time.Duration(trials), time.Nanosecond), nil
		}
	}
}
