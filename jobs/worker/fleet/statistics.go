package fleet

import (
	"context"
	"time"
)

// statisticsEvery is how often a worker looks for tables that have outgrown their statistics. A look takes a millisecond.
const statisticsEvery = 5 * time.Second

// collectStatistics has such tables analysed until ctx ends. It has a loop of its own, as that of a restored database takes long.
func (f *Fleet) collectStatistics(ctx context.Context) {
	tick := time.NewTicker(statisticsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		tables, err := f.store.Upkeep.CollectStatistics(ctx)
		if len(tables) > 0 {
			f.opts.Logger.DebugContext(ctx, "collected statistics", "tables", tables)
		}
		if err != nil && ctx.Err() == nil {
			f.opts.Logger.WarnContext(ctx, "statistics were not collected", "error", err)
		}
	}
}
