package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store/stores"
)

// partitionDays is how many days of event log partitions are made ahead: an outage of upkeep
// shorter than that costs nothing.
const partitionDays = 3

// upkeepWorker makes the partitions of the coming days, forgets workers, callers, uploads and counts
// long past, reports keys that end, and keeps the retention jobs scheduled.
type upkeepWorker struct {
	river.WorkerDefaults[jobs.UpkeepArgs]
	store *stores.Set
}

func upkeepSchedule() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
		func() (river.JobArgs, *river.InsertOpts) { return jobs.UpkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: "upkeep", RunOnStart: true})
}

// Work implements river.Worker. Every step can be repeated without harm, so they need no fence.
func (w *upkeepWorker) Work(ctx context.Context, _ *river.Job[jobs.UpkeepArgs]) error {
	if _, err := w.store.EventLog.Roll(ctx, partitionDays); err != nil {
		return err
	}
	if err := w.store.EventLog.TidyCounters(ctx); err != nil {
		return err
	}
	if err := w.store.Tenants.ForgetRates(ctx); err != nil {
		return err
	}
	if _, err := w.store.Tenants.NoteEndingKeys(ctx); err != nil {
		return err
	}
	if err := w.store.Workers.Forget(ctx); err != nil {
		return err
	}
	if _, err := w.store.Library.ForgetUploads(ctx); err != nil {
		return err
	}
	_, overdue, err := w.store.Upkeep.ScheduleRetention(ctx)
	if err != nil {
		return err
	}
	for _, job := range overdue {
		// No more than one a day runs, however often it is inserted.
		if _, err := river.ClientFromContext[pgx.Tx](ctx).Insert(ctx, jobs.PruneArgs{Job: job}, nil); err != nil {
			return fmt.Errorf("make up for the missed retention run %s: %w", job, err)
		}
	}
	return nil
}
