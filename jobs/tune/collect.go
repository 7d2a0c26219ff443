package tune

import (
	"context"
	"fmt"
	"time"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
)

// collect ranks the trials of all shards and ends the tune.
func (w *Workers) collect(ctx context.Context, args jobs.TuneCollectArgs, lease store.Lease) error {
	tune, err := w.store.Tune(ctx, args.WorkspaceID, args.TuneID)
	if err != nil {
		return err
	}
	if tune.Status != store.TuneRunning {
		return fmt.Errorf("tune %s is %s: %w", args.TuneID, tune.Status, store.ErrEnded)
	}
	plan, err := w.plans.get(ctx, tune)
	if err != nil {
		return err
	}
	shards, err := w.store.Shards(ctx, args.WorkspaceID, args.TuneID)
	if err != nil {
		return err
	}
	found, err := sweep.Collect(plan, shards, func(shard int) (columns, top, stats []byte, err error) {
		return w.store.ShardParts(ctx, args.WorkspaceID, args.TuneID, shard)
	})
	if err != nil {
		return fmt.Errorf("collect tune %s: %w", args.TuneID, err)
	}
	err = w.save.Save(ctx, lease, func() error {
		return w.store.CompleteTune(ctx, lease, args.TuneID, found)
	})
	if err != nil {
		return err
	}
	w.metrics.TuneRuns.WithLabelValues(string(store.TuneCompleted)).Inc()
	w.metrics.TuneRunDuration.Observe(time.Since(*tune.StartedAt).Seconds())
	return nil
}
