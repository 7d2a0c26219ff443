package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/stores"
	"millrace/store/workers"
)

// beatEvery is how often a worker says that it lives; a lease is several beats long.
const beatEvery = workers.HeartbeatLease / 6

// Options make a Fleet.
type Options struct {
	// ID names the process in the fleet, see NewID; made when empty. The pool should be opened for
	// it, so that the database can tell the holder of a job from a zombie.
	ID      string
	Pool    *pgxpool.Pool
	Slots   jobs.Slots
	Metrics *ops.Metrics
	Logger  *slog.Logger
	// Reporter is told of jobs that have failed for good; may be nil.
	Reporter *ops.Reporter
	Version  string
	// Periodic is the schedule, beside the fleet's own upkeep.
	Periodic []*river.PeriodicJob
	// Drain is how long Stop waits for jobs at work before it cancels them.
	Drain time.Duration
}

// Fleet is this process's part in the fleet. It is also the workers.Jobs of what its workers insert.
type Fleet struct {
	*jobs.Client
	opts     Options
	self     workers.Worker
	held     *held
	failures ops.Failures
	store    *stores.Set
	cancel   context.CancelFunc
	loops    routine.Group
	stop     sync.Once
}

// NewID makes an id that no other process has had.
func NewID() string {
	return fmt.Sprintf("%.40s-%d-%s", hostname(), os.Getpid(), uuid.NewString()[:8])
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// New makes a fleet member that works nothing yet. register adds its workers, given the store whose
// jobs this member inserts.
func New(opts Options, register func(*stores.Set, *river.Workers)) (*Fleet, error) {
	if opts.ID == "" {
		opts.ID = NewID()
	}
	f := &Fleet{
		opts:     opts,
		held:     newHeld(),
		failures: ops.Failures{Logger: opts.Logger, Metrics: opts.Metrics, Reporter: opts.Reporter},
		self:     workers.Worker{ID: opts.ID, Host: hostname(), PID: os.Getpid(), Version: opts.Version, Queues: opts.Slots},
	}
	var err error
	f.store = stores.New(opts.Pool, f)
	f.store.SetRecorder(opts.Metrics)
	workers := river.NewWorkers()
	river.AddWorker(workers, &upkeepWorker{store: f.store})
	register(f.store, workers)
	queues := map[string]river.QueueConfig{}
	for name, slots := range opts.Slots {
		queues[name] = river.QueueConfig{MaxWorkers: slots + jobs.Ahead(name, slots)}
	}
	f.Client, err = river.NewClient(riverpgxv5.New(opts.Pool), &river.Config{
		ID:      f.self.ID,
		Logger:  slog.New(quieted{opts.Logger.Handler()}),
		Queues:  queues,
		Workers: workers,
		// The default of 100 ms is added to every job's wait.
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 500 * time.Millisecond,
		RetryPolicy:       backoff{},
		// Only a backstop: heartbeats rescue within seconds. Above every kind's timeout.
		RescueStuckJobsAfter: time.Hour,
		// The role that works jobs does not own the tables, so it cannot reindex them.
		ReindexerIndexNames: []string{},
		WorkerMiddleware:    []rivertype.WorkerMiddleware{&watch{fleet: f}},
		PeriodicJobs:        append([]*river.PeriodicJob{upkeepSchedule()}, opts.Periodic...),
		// Failures are kept for people to look at until the retention job job_runs takes them.
		CancelledJobRetentionPeriod: -1,
		DiscardedJobRetentionPeriod: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("River client: %w", err)
	}
	return f, nil
}

// Start begins to beat, to rescue and to work.
func (f *Fleet) Start(ctx context.Context) error {
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel = cancel
	// The first beat comes before the first job, so that no job is ever held without one.
	if _, err := f.store.Workers.Beat(ctx, f.self, nil, nil); err != nil {
		cancel()
		return err
	}
	f.loops.Keep(loops, beatEvery, func() error { f.beat(loops); return nil }, func(err error) {
		f.failures.Report(loops, "heartbeat failed", err)
	})
	// River's context outlives ours: it is Stop that ends the work, not a signal.
	if err := f.Client.Start(context.WithoutCancel(ctx)); err != nil {
		cancel()
		_ = f.loops.Wait() // Keep has handled their errors
		return fmt.Errorf("start River: %w", err)
	}
	return nil
}

// Stop lets jobs at work finish within the drain time, cancels the rest, and hands what is left
// back to the fleet. Safe to call twice.
func (f *Fleet) Stop(ctx context.Context) (err error) {
	f.stop.Do(func() { err = f.shutDown(ctx) })
	return err
}

func (f *Fleet) shutDown(ctx context.Context) error {
	drain, cancel := context.WithTimeout(ctx, f.opts.Drain)
	defer cancel()
	err := f.Client.Stop(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = f.Client.StopAndCancel(hard)
	}
	if f.cancel != nil {
		f.cancel()
	}
	_ = f.loops.Wait() // Keep has handled their errors
	retire, cancelRetire := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancelRetire()
	return errors.Join(err, f.store.Workers.Retire(retire, f.self.ID))
}

// beat renews the heartbeat and rescues orphans, until ctx ends. Only a worker that has itself
// been heard for a whole lease rescues: after an outage of the database every heartbeat looks
// silent, though nobody died.
func (f *Fleet) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	heardSince := time.Now()
	lastBeat := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := f.beatOnce(ctx); err != nil {
			if ctx.Err() == nil {
				f.opts.Logger.WarnContext(ctx, "heartbeat failed", "error", err)
			}
			heardSince = time.Now()
			continue
		}
		now := time.Now()
		if now.Sub(lastBeat) > workers.HeartbeatLease/2 {
			heardSince = now // we were stopped ourselves, or the database was slow for all
		}
		lastBeat = now
		if now.Sub(heardSince) >= workers.HeartbeatLease {
			f.rescue(ctx)
		}
	}
}

func (f *Fleet) beatOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, workers.HeartbeatLease/2)
	defer cancel()
	if err := f.store.EventLog.CountConnErrors(ctx); err != nil {
		return err
	}
	running, settling := f.held.now(time.Now())
	recalls, err := f.store.Workers.Beat(ctx, f.self, running, settling)
	f.held.recall(recalls)
	return err
}

func (f *Fleet) rescue(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, workers.HeartbeatLease/2)
	defer cancel()
	rescued, err := f.store.Workers.Rescue(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.opts.Logger.WarnContext(ctx, "rescue failed", "error", err)
		}
		return
	}
	for _, job := range rescued {
		f.opts.Metrics.JobsRescued.Inc()
		f.opts.Logger.WarnContext(ctx, "job rescued from a lost worker", "job_id", job.ID, "kind", job.Kind, "state", job.State)
	}
}

// backoff retries soon at first: most errors here are a database that is away for a moment.
type backoff struct{}

// NextRetry implements river.ClientRetryPolicy: 0.25 s, doubled each attempt up to a minute, ± 20 %.
func (backoff) NextRetry(job *rivertype.JobRow) time.Time {
	pause := min(250*time.Millisecond<<min(job.Attempt-1, 10), time.Minute)
	return time.Now().Add(time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64())))
}
