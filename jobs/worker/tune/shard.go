package tune

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/ops/routine"
	"millrace/store"
	"millrace/store/tuning"
)

// shard runs one range of trials and saves what they found.
func (w *Workers) shard(ctx context.Context, args jobs.TuneShardArgs, lease store.Lease) error {
	work, err := w.store.Tuning.ShardWork(ctx, args.WorkspaceID, args.TuneID, args.Shard)
	if err != nil {
		return err
	}
	if work.Tune.Status != tuning.Running {
		return fmt.Errorf("tune %s is %s: %w", args.TuneID, work.Tune.Status, store.ErrEnded)
	}
	if again, err := w.heedStamp(ctx, work.Tune, lease, jobs.QueueTrials); again || err != nil {
		return err
	}
	plan, err := w.plans.get(ctx, work.Tune)
	if err != nil {
		return err
	}
	if work.Tune.Fold != nil && single(work.Tune, plan, work.Shard) {
		return w.finishFold(ctx, plan, work, false, lease)
	}
	kept, run := w.plans.kept(args.TuneID, plan), plan.RunShard
	if kept != nil {
		run = kept.RunShard
	}
	result, err := w.compute(ctx, run, work, lease)
	if err != nil {
		return err
	}
	if err := w.leaveOut(ctx, result); err != nil {
		return err
	}
	done, end := w.done(work, result), w.begin(PartEncode)
	if done.Columns, done.Top, done.Stats, err = result.Encode(); err != nil {
		return fmt.Errorf("encode shard %d: %w", done.Shard, err)
	}
	end()
	if kept != nil { // before it is saved, as the job that ranks may begin at once then
		w.plans.add(args.TuneID, kept, result)
	}
	if err := w.saveShard(ctx, args.TuneID, done, lease); err != nil {
		return err
	}
	if kept != nil {
		kept.Prepare(ctx, result)
	}
	return nil
}

// leaveOut has the returns of a large tune's trials stored after all while a worker of another version is heard, which may be the one
// that ranks the tune and one that makes none again.
func (w *Workers) leaveOut(ctx context.Context, result *sweep.ShardResult) error {
	if !result.LeavesReturnsOut() {
		return nil
	}
	alike, err := w.store.Workers.Alike(ctx)
	if err == nil && !alike {
		result.StoreReturns()
	}
	return err
}

func (w *Workers) saveShard(ctx context.Context, tune uuid.UUID, done tuning.ShardDone, lease store.Lease) error {
	defer w.begin(PartSave)()
	err := w.save.Save(ctx, lease, func() error { return w.store.Tuning.FinishShard(ctx, lease, tune, done) })
	if err == nil {
		w.count(done)
	}
	return err
}

// runShard runs a shard's trials.
type runShard func(ctx context.Context, sh sweep.Shard, progress func(done int)) (*sweep.ShardResult, error)

func (w *Workers) count(done tuning.ShardDone) {
	w.metrics.TuneTrials.WithLabelValues("completed").Add(float64(done.Completed))
	w.metrics.TuneTrials.WithLabelValues("skipped").Add(float64(done.Skipped))
	w.metrics.TuneTrials.WithLabelValues("failed").Add(float64(done.Failed))
}

// compute runs the shard on one of the process's slots, as soon as one is free.
func (w *Workers) compute(ctx context.Context, trials runShard, work tuning.ShardWork, lease store.Lease) (*sweep.ShardResult, error) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer w.begin(PartCompute)()
	return w.run(ctx, trials, work, lease)
}

// done is what a shard found, without what is encoded of it.
func (w *Workers) done(work tuning.ShardWork, result *sweep.ShardResult) tuning.ShardDone {
	done := tuning.ShardDone{
		Shard: work.Shard.Index, Completed: result.Completed, Skipped: result.Skipped, Failed: result.Failed,
		Stamp: w.stamp(work.Tune),
	}
	done.BestTrial, done.BestScore = result.Best()
	return done
}

// run computes the shard while a reporter beside it records how far it is. The reporter is also how
// a cancellation arrives when its notification is lost: it stops the computation.
func (w *Workers) run(ctx context.Context, trials runShard, work tuning.ShardWork, lease store.Lease) (*sweep.ShardResult, error) {
	ctx, stop := context.WithCancelCause(ctx)
	var done atomic.Int64
	var reporter routine.Group
	reporter.Run(func() error { w.report(ctx, stop, work, lease, &done); return nil })
	result, err := trials(ctx, work.Shard, func(n int) { done.Store(int64(n)) })
	stop(nil)
	err = errors.Join(err, reporter.Wait())
	if err != nil && context.Cause(ctx) != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	return result, err
}

// report records the shard's progress until ctx ends, and stops the computation when the tune has
// ended or another attempt has the shard.
func (w *Workers) report(ctx context.Context, stop context.CancelCauseFunc, work tuning.ShardWork,
	lease store.Lease, done *atomic.Int64,
) {
	tick := time.NewTicker(w.opts.ReportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := w.store.Tuning.ReportShard(ctx, lease, work.Tune.ID, work.Shard.Index, int(done.Load()))
		switch {
		case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrFenced):
			stop(err)
			return
		case err != nil && ctx.Err() == nil:
			// The result matters, the report does not: the next tick tries again.
			w.logger.WarnContext(ctx, "progress report failed", "job_id", lease.JobID, "error", err)
		}
	}
}
