// Package deletion deletes the rows of what was deleted, some in each transaction; see store/lifecycle.
package deletion

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/worker/attempt"
	"millrace/ops"
	"millrace/store"
	"millrace/store/lifecycle"
)

const (
	// jobTimeout bounds one attempt; what saving waits for is in it.
	jobTimeout = 15 * time.Minute
	// slice is how long a deletion has the slot before others have theirs.
	slice = 2 * time.Minute
	// pause is between two slices.
	pause = time.Second
	// wait is for another deletion whose rows refer to what this one takes away.
	wait = 5 * time.Second
)

// Workers delete.
type Workers struct {
	lifecycle *lifecycle.Store
	index     Index
	save      *attempt.Saver
	metrics   *ops.Metrics
}

// New makes the workers.
func New(db *store.DB, st *lifecycle.Store, index Index, metrics *ops.Metrics, logger *slog.Logger) *Workers {
	return &Workers{lifecycle: st, index: index, save: attempt.NewSaver(db, logger), metrics: metrics}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, &attempt.Worker[jobs.DeleteArgs]{
		Saver: w.save, Limit: jobTimeout, Do: w.delete, Fail: w.fail,
		Of: func(a jobs.DeleteArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.DeletionID },
	})
	w.registerWorkspaces(to)
}

// delete takes step after step. Each is committed by itself, so that another attempt continues after the last one. After
// each it rests for three times as long as the step took: the database has its time for requests, which do not wait for
// what nobody waits for.
func (w *Workers) delete(ctx context.Context, args jobs.DeleteArgs, lease store.Lease) error {
	for began := time.Now(); time.Since(began) < slice; {
		step := time.Now()
		done, err := w.lifecycle.Step(ctx, lease, args.DeletionID)
		if errors.Is(err, lifecycle.ErrWaits) {
			return river.JobSnooze(wait)
		}
		if err != nil {
			return err
		}
		if done {
			return w.finish(ctx, args, lease)
		}
		if err := rest(ctx, 3*time.Since(step)); err != nil {
			return err
		}
	}
	return river.JobSnooze(pause)
}

// rest waits, for a second at most.
func rest(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(min(length, time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (w *Workers) fail(ctx context.Context, args jobs.DeleteArgs, lease store.Lease, failure store.Failure) error {
	err := w.lifecycle.Fail(ctx, lease, args.DeletionID, failure.Reason)
	if err == nil {
		w.metrics.Deletions.WithLabelValues("failed").Inc()
	}
	return err
}

func (w *Workers) finish(ctx context.Context, args jobs.DeleteArgs, lease store.Lease) error {
	err := w.save.Save(ctx, lease, func() error { return w.lifecycle.Finish(ctx, lease, args.DeletionID) })
	if err == nil {
		w.metrics.Deletions.WithLabelValues("completed").Inc()
	}
	return err
}
