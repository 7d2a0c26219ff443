package wfo

import (
	"context"

	"github.com/riverqueue/river"

	"millrace/store"
	"millrace/store/walkforward"
)

// heedStamps keeps folds of two engines out of one walk-forward. Folds of an older engine are run again,
// which ends this job and leaves no work. Where theirs is the later engine, the job waits for a worker of it.
func (w *Workers) heedStamps(ctx context.Context, work *walkforward.Work, lease store.Lease) error {
	own := work.WFO.Spec.Stamp(w.opts.Program)
	older := false
	for _, stamp := range work.Stamps {
		switch {
		case stamp == own:
		case own.Before(stamp):
			w.logger.InfoContext(ctx, "walk-forward waits for a worker of its engine", "wfo_id", work.WFO.ID, "engine", stamp.Engine, "own_engine", own.Engine)
			return river.JobSnooze(w.opts.StampPause)
		default:
			older = true
		}
	}
	if !older {
		return nil
	}
	id := work.WFO.ID
	w.logger.WarnContext(ctx, "folds are run again: an older engine ran them", "wfo_id", id, "own_engine", own.Engine)
	work.WFO = nil
	return w.save.Save(ctx, lease, func() error { return w.store.WalkForward.Restart(ctx, lease, id, own) })
}
