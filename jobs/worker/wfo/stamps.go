package wfo

import (
	"context"

	"github.com/riverqueue/river"

	"millrace/jobs/backtest"
	"millrace/store"
	"millrace/store/walkforward"
)

// heedStamps keeps folds of two engines out of one walk-forward. Folds of an older engine are run again,
// which ends this job and leaves no work, unless all are to be left to a worker of theirs that works the job's queue.
// Where theirs is the later engine, the job waits for a worker of it.
func (w *Workers) heedStamps(ctx context.Context, work *walkforward.Work, lease store.Lease, queue string) error {
	own := work.WFO.Spec.Stamp(w.opts.Program)
	older := false
	for _, stamp := range work.Stamps {
		switch {
		case stamp == own:
		case own.Before(stamp):
			return w.wait(ctx, work, stamp, own)
		default:
			older = true
		}
	}
	if !older {
		return nil
	}
	if w.opts.LeaveOlder && len(work.Stamps) == 1 {
		heard, err := w.store.Workers.Works(ctx, queue, work.Stamps[0])
		if err != nil {
			return err
		}
		if heard {
			return w.wait(ctx, work, work.Stamps[0], own)
		}
	}
	id := work.WFO.ID
	w.logger.WarnContext(ctx, "folds are run again: an older engine ran them", "wfo_id", id, "own_engine", own.Engine)
	work.WFO = nil
	return w.save.Save(ctx, lease, func() error { return w.store.WalkForward.Restart(ctx, lease, id, own) })
}

// wait leaves the job to a worker of the folds' engine.
func (w *Workers) wait(ctx context.Context, work *walkforward.Work, of, own backtest.Stamp) error {
	w.logger.InfoContext(ctx, "walk-forward waits for a worker of its engine", "wfo_id", work.WFO.ID, "engine", of.Engine, "own_engine", own.Engine)
	return river.JobSnooze(w.opts.StampPause)
}
