package fleet

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store"
)

// partitionDays is how many days of event log partitions are made ahead: an outage of upkeep
// shorter than that costs nothing.
const partitionDays = 3

// upkeepWorker makes the partitions of the coming days and forgets workers long silent and
// callers long idle.
type upkeepWorker struct {
	river.WorkerDefaults[jobs.UpkeepArgs]
	store *store.Store
}

func upkeepSchedule() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
		func() (river.JobArgs, *river.InsertOpts) { return jobs.UpkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: "upkeep", RunOnStart: true})
}

// Work implements river.Worker. Every step can be repeated without harm, so they need no fence.
func (w *upkeepWorker) Work(ctx context.Context, _ *river.Job[jobs.UpkeepArgs]) error {
	if _, err := w.store.RollEventLog(ctx, partitionDays); err != nil {
		return err
	}
	if err := w.store.ForgetRates(ctx); err != nil {
		return err
	}
	return w.store.ForgetWorkers(ctx)
}
