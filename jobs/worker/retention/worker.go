package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/upkeep"
)

const (
	// batchSize is the most rows that a scheduled run deletes in one transaction.
	batchSize = 10_000
	// jobTimeout is below River's rescue age; a run that is cut off is taken up again.
	jobTimeout = 50 * time.Minute
	// busyPause is how long a run waits for another of the same job.
	busyPause = 15 * time.Second
	// retryPause is long, because what fails a run is seldom mended in seconds.
	retryPause = 5 * time.Minute
)

// Workers work the retention queue.
type Workers struct {
	db     *store.DB
	upkeep *upkeep.Store
	logger *slog.Logger
}

// New makes the workers.
func New(db *store.DB, st *upkeep.Store, logger *slog.Logger) *Workers {
	return &Workers{db: db, upkeep: st, logger: logger}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) { river.AddWorker(to, &pruneWorker{all: w}) }

// Periodic is the schedule, for River's leader.
func Periodic() ([]*river.PeriodicJob, error) {
	var periodic []*river.PeriodicJob
	for _, of := range jobs.Retentions() {
		job := of.Name
		schedule, err := jobs.Schedule(of.Schedule)
		if err != nil {
			return nil, fmt.Errorf("retention job %s: %w", job, err)
		}
		periodic = append(periodic, river.NewPeriodicJob(schedule,
			func() (river.JobArgs, *river.InsertOpts) { return jobs.PruneArgs{Job: job}, nil },
			&river.PeriodicJobOpts{ID: "retention_" + job}))
	}
	return periodic, nil
}

type pruneWorker struct {
	river.WorkerDefaults[jobs.PruneArgs]
	all *Workers
}

// Timeout implements river.Worker.
func (w *pruneWorker) Timeout(*river.Job[jobs.PruneArgs]) time.Duration { return jobTimeout }

// NextRetry implements river.Worker.
func (w *pruneWorker) NextRetry(job *river.Job[jobs.PruneArgs]) time.Time {
	return w.all.db.Clock().Now().Add(time.Duration(job.Attempt) * retryPause)
}

// Work implements river.Worker. The run's lock is its fence: an attempt given up for dead that still
// deletes holds it, and this one waits.
func (w *pruneWorker) Work(ctx context.Context, job *river.Job[jobs.PruneArgs]) error {
	prune := upkeep.Prune{Job: job.Args.Job, BatchSize: batchSize, Source: "river"}
	if job.Args.Entry != 0 {
		run, err := w.all.upkeep.RetentionRun(ctx, job.Args.Entry)
		if err != nil {
			return err
		}
		prune.Source, prune.Entry, prune.BatchSize, prune.DryRun = run.Source, &run.ID, run.BatchSize, run.DryRun
	}
	pruned, err := w.all.upkeep.Prune(ctx, prune)
	log := w.all.logger.With("job_name", prune.Job, "source", prune.Source, "job_id", job.ID)
	switch {
	case errors.Is(err, store.ErrRunning):
		return river.JobSnooze(busyPause)
	case err != nil && prune.Entry != nil && ctx.Err() == nil && !store.Transient(err):
		return river.JobCancel(err) // the log's entry has it; to try again is the admin's choice
	case err != nil:
		log.WarnContext(ctx, "retention run failed", "attempt", job.Attempt, "error", err)
		return err
	case pruned.Entry == 0:
		log.DebugContext(ctx, "nothing to do: run before, or pg_cron's")
	default:
		log.InfoContext(ctx, "retention run done", "entry", pruned.Entry, "rows", pruned.Deleted, "dry_run", prune.DryRun)
	}
	return nil
}
