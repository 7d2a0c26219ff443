package events

import (
	"context"
	"time"
)

const (
	// foldEvery is how often the counters are brought up to date with the log.
	foldEvery = time.Second
	// dropCount is the name under which the fleet's dropped subscribers are counted.
	dropCount = "sse.drop"
)

// count keeps the counters of the database up to date until ctx ends, and adds what this process
// has to add. All processes try; the one that comes first does the work.
func (f *Feed) count(ctx context.Context) {
	failed := false
	for pause(ctx, foldEvery) == nil {
		err := f.countOnce(ctx)
		if err != nil && ctx.Err() == nil && !failed {
			f.logger.WarnContext(ctx, "counters are not up to date", "error", err)
		}
		failed = err != nil
	}
	// What was dropped since the last look is counted now or never.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := f.countDrops(last); err != nil {
		f.logger.WarnContext(ctx, "dropped subscribers went uncounted", "error", err)
	}
}

func (f *Feed) countOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := f.store.SyncClock(ctx); err != nil {
		return err
	}
	if err := f.countDrops(ctx); err != nil {
		return err
	}
	if err := f.store.EventLog.CountConnErrors(ctx); err != nil {
		return err
	}
	return f.store.EventLog.FoldCounters(ctx)
}

func (f *Feed) countDrops(ctx context.Context) error {
	n := f.hub.takeDrops()
	if n == 0 {
		return nil
	}
	err := f.store.EventLog.AddCount(ctx, dropCount, n)
	if err != nil {
		f.hub.returnDrops(n)
	}
	return err
}
