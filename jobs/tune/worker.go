package tune

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
	"millrace/ops"
	"millrace/store"
)

// jobTimeout bounds one attempt. It is far above the second a shard is cut to, and below River's
// own rescue age.
const jobTimeout = 20 * time.Minute

// Options tune the workers. Zero fields take their defaults.
type Options struct {
	ShardTime   time.Duration // compute a shard is cut to; default 1 s
	ReportEvery time.Duration // between progress reports of a running shard; default 500 ms
}

// Workers work tunes. They share a cache of plans, as a process meets the same tune shard after shard.
type Workers struct {
	store   *store.Store
	plans   *plans
	metrics *ops.Metrics
	logger  *slog.Logger
	opts    Options
}

// New makes the workers.
func New(st *store.Store, metrics *ops.Metrics, logger *slog.Logger, opts Options) *Workers {
	if opts.ShardTime == 0 {
		opts.ShardTime = time.Second
	}
	if opts.ReportEvery == 0 {
		opts.ReportEvery = 500 * time.Millisecond
	}
	return &Workers{store: st, plans: newPlans(st), metrics: metrics, logger: logger, opts: opts}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, &worker[jobs.TunePlanArgs]{all: w, work: w.plan, tune: planTune})
	river.AddWorker(to, &worker[jobs.TuneShardArgs]{all: w, work: w.shard, tune: shardTune})
	river.AddWorker(to, &worker[jobs.TuneCollectArgs]{all: w, work: w.collect, tune: collectTune})
}

func planTune(a jobs.TunePlanArgs) (workspace, tune uuid.UUID)       { return a.WorkspaceID, a.TuneID }
func shardTune(a jobs.TuneShardArgs) (workspace, tune uuid.UUID)     { return a.WorkspaceID, a.TuneID }
func collectTune(a jobs.TuneCollectArgs) (workspace, tune uuid.UUID) { return a.WorkspaceID, a.TuneID }

// nextJobs makes the jobs of a tune's later steps.
func nextJobs(workspace, tune uuid.UUID) store.TuneJobs {
	return store.TuneJobs{
		Shard: func(shard int) river.JobArgs {
			return jobs.TuneShardArgs{WorkspaceID: workspace, TuneID: tune, Shard: shard}
		},
		Collect: func() river.JobArgs {
			return jobs.TuneCollectArgs{WorkspaceID: workspace, TuneID: tune}
		},
	}
}

// worker is what the three kinds have in common: the lease, and what an error means for the tune.
type worker[A river.JobArgs] struct {
	river.WorkerDefaults[A]
	all  *Workers
	work func(ctx context.Context, args A, lease store.Lease) error
	tune func(args A) (workspace, tune uuid.UUID)
}

// Timeout implements river.Worker.
func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return jobTimeout }

// Work implements river.Worker. An error that no later attempt can mend, or that of the last
// attempt, fails the tune with its reason; any other is returned for River to retry.
func (w *worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	workspace, tune := w.tune(job.Args)
	lease := store.Lease{
		Workspace: workspace, JobID: job.ID, Attempt: job.Attempt,
		Complete: func(ctx context.Context, tx pgx.Tx) error {
			_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
			return err
		},
	}
	err := recovered(func() error { return w.work(ctx, job.Args, lease) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrNotFound):
		return river.JobCancel(err) // nothing is left to do: the tune has ended or is gone
	case errors.Is(err, store.ErrFenced), ctx.Err() != nil:
		return err
	}
	var hopeless *hopelessError
	if !errors.As(err, &hopeless) && job.Attempt < job.MaxAttempts {
		return err
	}
	w.all.logger.ErrorContext(ctx, "tune failed", "tune_id", tune, "job_id", job.ID, "error", err)
	saved := w.all.persist(ctx, lease, func() error {
		return w.all.store.FailTune(ctx, lease, tune, err.Error())
	})
	if saved == nil {
		w.all.metrics.TuneRuns.WithLabelValues(string(store.TuneFailed)).Inc()
	}
	return saved
}

// hopelessError is an error that every attempt would meet again.
type hopelessError struct{ reason string }

func (e *hopelessError) Error() string { return e.reason }

// recovered turns a panic of fn into an error, so that it is handled as any other.
func recovered(fn func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return fn()
}

// persist saves a result, waiting out a database that is away for a moment: computing again would
// cost more. A save whose commit went through while its answer was lost finds the fence closed by
// its own completion, which counts as saved.
func (w *Workers) persist(ctx context.Context, lease store.Lease, save func() error) error {
	const patience = 2 * time.Minute
	var unsure bool
	pause := 100 * time.Millisecond
	for start := time.Now(); ; pause = min(2*pause, 2*time.Second) {
		err := save()
		if unsure && errors.Is(err, store.ErrFenced) {
			attempt, state, stateErr := w.store.JobState(ctx, lease.JobID)
			if stateErr == nil && attempt == lease.Attempt && state == rivertype.JobStateCompleted {
				return nil
			}
		}
		if !store.Transient(err) || time.Since(start) > patience {
			return err
		}
		unsure = true
		w.logger.WarnContext(ctx, "database is away; saving again", "job_id", lease.JobID, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
