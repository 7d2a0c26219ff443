package fleet

import (
	"context"
	"time"

	"millrace/store/workers"
)

// reconcile takes up work that is active without a job, now and then.
func (f *Fleet) reconcile(ctx context.Context) {
	if time.Since(f.reconciled) < reconcileEvery {
		return
	}
	f.reconciled = time.Now()
	ctx, cancel := context.WithTimeout(ctx, workers.HeartbeatLease/2)
	defer cancel()
	done, err := f.store.Workers.Reconcile(ctx)
	if err != nil && ctx.Err() == nil {
		f.opts.Logger.WarnContext(ctx, "work that has lost its job could not be taken up", "error", err)
	}
	for _, r := range done {
		f.opts.Metrics.WorkReconciled.WithLabelValues(r.What).Inc()
		f.opts.Logger.WarnContext(ctx, "took up work that had lost its job",
			"work", r.What, "id", r.ID, "job_id", r.JobID, "kind", r.Kind, "fails", r.Failed)
	}
}
