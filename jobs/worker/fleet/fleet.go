package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/stores"
	"millrace/store/workers"
)

// reconcileEvery is how often a worker looks for work that has lost its job; the fleet's workers do it
// one after the other.
const reconcileEvery = 10 * time.Second

// beatEvery is how often a worker says that it lives; a lease is several beats long.
const beatEvery = workers.HeartbeatLease / 6

// FetchCooldown is the least time between two fetches of a queue. A job whose hint comes right after a poll waits for it, so
// River's 100 ms would be seen in one start of five, and 5 ms in one of a hundred. At 1 ms a busy fleet fetches fewer jobs at a
// time, which takes a tenth more of the processors; at 2 ms no more than at 5 was measured.
const FetchCooldown = 2 * time.Millisecond

// Options make a Fleet.
type Options struct {
	// ID names the process in the fleet, see NewID; made when empty. The pool should be opened for
	// it, so that the database can distinguish the holder of a job from a zombie.
	ID   string
	Pool *pgxpool.Pool
	// Workspaces is the pool of workspaces' transactions, see store.OpenWorkspaces; nil: Pool.
	Workspaces *pgxpool.Pool

	Slots   jobs.Slots
	Metrics *ops.Metrics
	Logger  *slog.Logger
	// Reporter records jobs that have failed for good; may be nil.
	Reporter *ops.Reporter
	Version  string
	Stamp    backtest.Stamp // of the rules that the process works by
	// Periodic is the schedule, beside the fleet's own upkeep.
	Periodic []*river.PeriodicJob
	// Drain is how long Stop waits for running jobs before it cancels them.
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

	closeDriver func()

	reconciled time.Time // by the beat's loop only
}

// NewID makes an id that no other process has had.
func NewID() string {
	return fmt.Sprintf("%.30s-%d-%s", hostname(), os.Getpid(), uuid.NewString()[:8])
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
		self:     workers.Worker{ID: opts.ID, Host: hostname(), PID: os.Getpid(), Version: opts.Version, Stamp: opts.Stamp, Queues: opts.Slots},
	}
	var err error
	f.store = stores.New(opts.Pool, f)
	if opts.Workspaces != nil {
		f.store.SetWorkspaces(opts.Workspaces)
	}
	f.store.SetRecorder(opts.Metrics)
	workers := river.NewWorkers()
	river.AddWorker(workers, &upkeepWorker{store: f.store})
	register(f.store, workers)
	queues := map[string]river.QueueConfig{}
	for name, slots := range opts.Slots {
		queues[name] = river.QueueConfig{MaxWorkers: slots + jobs.Ahead(name, slots)}
	}
	driver, closeDriver := jobs.NewWorkingDriver(opts.Pool)
	f.closeDriver = closeDriver
	f.Client, err = river.NewClient(driver, &river.Config{
		ID:                f.self.ID,
		Logger:            slog.New(quieted{opts.Logger.Handler()}),
		Queues:            queues,
		Workers:           workers,
		FetchCooldown:     FetchCooldown,
		FetchPollInterval: 500 * time.Millisecond,
		RetryPolicy:       backoff{f.store.Clock()},
		Middleware:        []rivertype.Middleware{&jobs.DatabaseTimes{}, ops.Origins{}, &watch{fleet: f}},
		// What River decides by a clock goes by the database's.
		Test: river.TestConfig{Time: databaseTime{f.store.Clock()}},
		// Only a backstop: heartbeats rescue within seconds. Above every kind's timeout
		// and, as River goes by the machine's clock here, above what such a clock is off by.
		RescueStuckJobsAfter: 26 * time.Hour,
		// The role that works jobs does not own the tables, so it cannot reindex them.
		ReindexerIndexNames: []string{},
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
	f.loops.Keep(loops, sealEvery, func() error { f.seal(loops); return nil }, func(err error) {
		f.failures.Report(loops, "sealing the audit log failed", err)
	})
	f.loops.Keep(loops, statisticsEvery, func() error { f.collectStatistics(loops); return nil }, func(err error) {
		f.failures.Report(loops, "collecting statistics failed", err)
	})
	// What River drops of these, as when we are slow, only stays held for longer.
	completed, unsubscribe := f.Client.SubscribeConfig(&river.SubscribeConfig{ChanSize: 10_000, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	f.loops.Keep(loops, beatEvery, func() error { f.forget(loops, completed); return nil }, func(err error) {
		f.failures.Report(loops, "following completions failed", err)
	})
	// River's context outlives ours: it is Stop that ends the work, not a signal.
	if err := f.Client.Start(context.WithoutCancel(ctx)); err != nil {
		cancel()
		unsubscribe()
		f.closeDriver()
		_ = f.loops.Wait() // Keep has handled their errors
		return fmt.Errorf("start River: %w", err)
	}
	return nil
}

// Stop waits for running jobs to finish within the drain time, cancels the rest, and hands what is left
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
	f.closeDriver()
	if f.cancel != nil {
		f.cancel()
	}
	_ = f.loops.Wait() // Keep has handled their errors
	retire, cancelRetire := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancelRetire()
	return errors.Join(err, f.store.Workers.Retire(retire, f.self.ID))
}

// forget takes completed jobs out of what is held, until ctx ends.
func (f *Fleet) forget(ctx context.Context, completed <-chan *river.Event) {
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-completed:
			if !ok {
				return
			}
			f.held.recorded(event.Job)
		}
	}
}

// beat renews the heartbeat and rescues orphans, until ctx ends.
func (f *Fleet) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	belief := belief{heardSince: time.Now()}
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
			belief.restart()
			f.held.extend(belief.heardSince)
			continue
		}
		now := time.Now()
		if now.Sub(lastBeat) > workers.HeartbeatLease/2 {
			belief.restart() // we were stopped ourselves, or the database was slow for all
		}
		lastBeat = now
		if f.takeOver(ctx, &belief) {
			f.reconcile(ctx)
		}
	}
}

func (f *Fleet) beatOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, workers.HeartbeatLease/2)
	defer cancel()
	if err := f.store.EventLog.CountConnErrors(ctx); err != nil {
		return err
	}
	running, unrecorded := f.held.now(time.Now())
	recalls, err := f.store.Workers.Beat(ctx, f.self, running, unrecorded)
	f.held.recall(recalls)
	return err
}

// sealEvery is how often a worker takes what was added to the audit log into its chains.
const sealEvery = time.Second

// seal does so until ctx ends. It has a loop of its own, as it may take long, or fail: heartbeats and rescue go on.
func (f *Fleet) seal(ctx context.Context) {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := f.store.DB.SealAudit(ctx); err != nil && ctx.Err() == nil {
			f.opts.Logger.WarnContext(ctx, "the audit log is not sealed", "error", err)
		}
	}
}
