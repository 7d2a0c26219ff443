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
	size, err := w.shardSize(ctx, plan, max(slots, 1))
	if err != nil {
		return err
	}
	return w.save.Save(ctx, lease, func() error {
		return w.store.BeginTune(ctx, lease, args.TuneID, plan.Shards(size), plan.Warnings(), nextJobs(tune))
	})
}

// shardSize is how many trials fit the time of a shard, found by running some. A tune that is
// short as a whole is cut finer, so that every slot of the fleet gets a share; the results do not
// depend on the cut.
func (w *Workers) shardSize(ctx context.Context, plan *sweep.Plan, slots int) (int, error) {
	const sample = 10 * time.Millisecond
	trials, took := 4, time.Duration(0)
	for {
		trials = min(trials, plan.Trials())
		probe := plan.Shards(trials)[0]
		start := time.Now()
		if _, err := plan.RunShard(ctx, probe, func(int) {}); err != nil {
			return 0, err
		}
		took = time.Since(start)
		if took >= sample || trials == plan.Trials() {
			break
		}
		trials *= 4
	}
	perTrial := max(took/time.Duration(trials), time.Nanosecond)
	whole := perTrial * time.Duration(plan.Trials())
	target := min(w.opts.ShardTime, max(whole/time.Duration(4*slots), w.opts.ShardTime/10))
	return int(max(1, target/perTrial)), nil
}
