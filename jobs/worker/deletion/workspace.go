package deletion

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/worker/attempt"
	"millrace/store"
	"millrace/store/lifecycle"
)

// Index is what keeps vectors beside the rows.
type Index interface {
	// Forget deletes all that a workspace has.
	Forget(ctx context.Context, workspace uuid.UUID) error
}

// registerWorkspaces adds the worker that deletes workspaces.
func (w *Workers) registerWorkspaces(to *river.Workers) {
	river.AddWorker(to, &attempt.Worker[jobs.DeleteWorkspaceArgs]{
		Saver: w.save, Limit: jobTimeout, Do: w.deleteWorkspace, Fail: w.failWorkspace,
		Of: func(a jobs.DeleteWorkspaceArgs) (workspace, id uuid.UUID) { return uuid.Nil, a.ID },
	})
}

// deleteWorkspace takes step after step, as delete does.
func (w *Workers) deleteWorkspace(ctx context.Context, args jobs.DeleteWorkspaceArgs, lease store.Lease) error {
	for began := time.Now(); time.Since(began) < slice; {
		step := time.Now()
		next, err := w.lifecycle.WorkspaceStep(ctx, lease, args.ID)
		if err != nil {
			return err
		}
		switch next {
		case lifecycle.WorkspaceWaits:
			return river.JobSnooze(pause)
		case lifecycle.WorkspaceIndex:
			if err := w.index.Forget(ctx, args.ID); err != nil {
				return err
			}
			if err := w.lifecycle.IndexEmptied(ctx, lease, args.ID); err != nil {
				return err
			}
		case lifecycle.WorkspaceEmpty:
			return w.finishWorkspace(ctx, args, lease)
		}
		if err := rest(ctx, time.Since(step)); err != nil {
			return err
		}
	}
	return river.JobSnooze(pause)
}

// finishWorkspace empties the index once more: an ingestion whose worker froze may have written to it meanwhile.
func (w *Workers) finishWorkspace(ctx context.Context, args jobs.DeleteWorkspaceArgs, lease store.Lease) error {
	if err := w.index.Forget(ctx, args.ID); err != nil {
		return err
	}
	err := w.save.Save(ctx, lease, func() error { return w.lifecycle.FinishWorkspace(ctx, lease, args.ID) })
	if err == nil {
		w.metrics.WorkspaceDeletions.WithLabelValues("completed").Inc()
	}
	return err
}

func (w *Workers) failWorkspace(ctx context.Context, args jobs.DeleteWorkspaceArgs, lease store.Lease, failure store.Failure) error {
	err := w.lifecycle.FailWorkspace(ctx, lease, args.ID, failure.Reason)
	if err == nil {
		w.metrics.WorkspaceDeletions.WithLabelValues("failed").Inc()
	}
	return err
}
