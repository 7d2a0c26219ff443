package tune

import (
	"context"

	"github.com/riverqueue/river"

	"millrace/jobs/backtest"
	"millrace/store"
	"millrace/store/tuning"
)

// stamp is what this process would stamp the tune with.
func (w *Workers) stamp(tune *tuning.Tune) backtest.Stamp { return tune.Spec.Stamp(w.opts.Program) }

// heedStamp keeps results of two engines out of one tune. Nil: this process works it. A tune of a later
// engine waits for a worker of that engine; one of an older engine is begun again, which ends this job, unless
// it is to be left to a worker of its own, which works the job's queue.
func (w *Workers) heedStamp(ctx context.Context, tune *tuning.Tune, lease store.Lease, queue string) (again bool, err error) {
	older, err := w.older(ctx, tune, queue)
	if err != nil || !older {
		return false, err
	}
	own := w.stamp(tune)
	w.logger.WarnContext(ctx, "tune is begun again: an older engine began it", "tune_id", tune.ID, "engine", tune.Stamp.Engine, "own_engine", own.Engine)
	return true, w.save.Save(ctx, lease, func() error { return w.store.Tuning.Restart(ctx, lease, tune.ID, own) })
}

// older reports whether an older engine began the tune, which is to be begun again. A tune of a later engine, and one that
// is left to a worker of its own, is an error that has the job wait.
func (w *Workers) older(ctx context.Context, tune *tuning.Tune, queue string) (bool, error) {
	own := w.stamp(tune)
	switch {
	case tune.Stamp == own:
		return false, nil
	case own.Before(tune.Stamp):
		return false, w.waitForEngine(ctx, tune)
	}
	if w.opts.LeaveOlder {
		heard, err := w.store.Workers.Works(ctx, queue, tune.Stamp)
		if err == nil && heard {
			err = w.store.Tuning.Leave(ctx, tune, own)
		}
		if err != nil {
			return false, err
		}
		if heard {
			return false, w.waitForEngine(ctx, tune)
		}
	}
	return true, nil
}

// waitForEngine leaves the job to a worker of the tune's engine.
func (w *Workers) waitForEngine(ctx context.Context, tune *tuning.Tune) error {
	w.logger.InfoContext(ctx, "tune waits for a worker of its engine", "tune_id", tune.ID, "engine", tune.Stamp.Engine, "own_engine", w.opts.Program.Engine)
	return river.JobSnooze(w.opts.StampPause)
}
