package tune

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
)

// collect ranks the trials of all shards and ends the tune.
func (w *Workers) collect(ctx context.Context, args jobs.TuneCollectArgs, lease store.Lease) error {
	end := w.begin(PartRank)
	tune, plan, shards, err := w.ended(ctx, args.WorkspaceID, args.TuneID, lease)
	if err != nil || plan == nil {
		return err
	}
	found, err := sweep.CollectKept(plan, shards, w.plans.kept(args.TuneID, plan), func(shard int) (columns, top, stats []byte, err error) {
		return w.store.Tuning.ShardParts(ctx, args.WorkspaceID, args.TuneID, shard)
	})
	if err != nil {
		return fmt.Errorf("collect tune %s: %w", args.TuneID, err)
	}
	end()
	defer w.begin(PartEnd)()
	if err := w.resolve(ctx, lease, args.TuneID, shards, found); err != nil {
		return err
	}
	err = w.save.Save(ctx, lease, func() error {
		if tune.Fold != nil {
			return w.store.Tuning.CompleteFold(ctx, lease, tune, nil, found)
		}
		return w.store.Tuning.Complete(ctx, lease, args.TuneID, found)
	})
	if err != nil {
		return err
	}
	w.plans.forget(args.TuneID)
	w.metrics.TuneRunDuration.Observe(w.store.DB.Clock().Now().Sub(*tune.StartedAt).Seconds())
	return nil
}

// resolve keeps the trials of a pruned tune as they came out, shard by shard: a worker that is lost on
// the way has only to do it again.
func (w *Workers) resolve(ctx context.Context, lease store.Lease, tune uuid.UUID, shards []sweep.Shard, found *sweep.Outcome) error {
	for _, sh := range shards {
		columns, err := found.FinalColumns(sh)
		if err != nil {
			return fmt.Errorf("encode shard %d: %w", sh.Index, err)
		}
		if columns == nil {
			continue
		}
		err = w.save.Save(ctx, lease, func() error { return w.store.Tuning.ResolveShard(ctx, lease, tune, sh.Index, columns) })
		if err != nil {
			return err
		}
	}
	return nil
}
