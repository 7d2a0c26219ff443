package tune

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/jobs/worker/attempt"
	"millrace/ops"
	"millrace/store"
	"millrace/store/strategies"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// jobTimeout bounds one attempt. It is far above the second a shard is cut to, and below River's
// own rescue age.
const jobTimeout = 20 * time.Minute

// Options tune the workers. Zero fields take their defaults.
type Options struct {
	Slots       int           // shards computed at once; default one for each core
	ShardTime   time.Duration // compute a shard is cut to; default 1 s
	ReportEvery time.Duration // between progress reports of a running shard; default 500 ms
	// Program is the numbers of this program's rules; default those it was built with.
	Program backtest.Stamp
	// LeaveOlder leaves a tune that an older engine began to workers of that engine while one is heard; else, and
	// when none is, it is begun again.
	LeaveOlder bool
	// Watch receives what a part of a tune took in this process, once it has ended; default nobody. Parts of one tune may overlap.
	Watch func(part Part, began, ended time.Time)
	// StampPause is how long a job waits that is for a worker of another engine; default 2 s.
	StampPause time.Duration
}

// Part is one part of what is done for a tune.
type Part string

// The parts, in the order in which a tune comes to them. All but PartCompute are done outside of the slots.
const (
	PartPlan    Part = "plan"    // until the shards are stored
	PartCompute Part = "compute" // a shard's trials
	PartEncode  Part = "encode"  // what they found
	PartSave    Part = "save"    // and store it
	PartRank    Part = "rank"    // read what the shards found, rank it, and weigh the evidence
	PartEnd     Part = "end"     // store what was found of all
)

// begin begins a part, which ends with what it returns.
func (w *Workers) begin(part Part) (end func()) {
	began := time.Now()
	return func() { w.opts.Watch(part, began, time.Now()) }
}

// Stores are what the workers read and write.
type Stores struct {
	DB         *store.DB
	Strategies *strategies.Store
	Tuning     *tuning.Store
	Workers    *workers.Store // how many slots the fleet has
}

// Workers work tunes. They share a cache of plans, as a process meets the same tune shard after shard.
type Workers struct {
	store   Stores
	save    *attempt.Saver
	plans   *plans
	slots   chan struct{} // held while a shard computes, not while it is read or saved
	metrics *ops.Metrics
	logger  *slog.Logger
	opts    Options
}

// New makes the workers.
func New(st Stores, metrics *ops.Metrics, logger *slog.Logger, opts Options) *Workers {
	if opts.Slots == 0 {
		opts.Slots = runtime.GOMAXPROCS(0)
	}
	if opts.ShardTime == 0 {
		opts.ShardTime = time.Second
	}
	if opts.ReportEvery == 0 {
		opts.ReportEvery = 500 * time.Millisecond
	}
	if opts.Program == (backtest.Stamp{}) {
		opts.Program = backtest.Stamp{Engine: backtest.Engine, Semantics: pine.Semantics}
	}
	if opts.Watch == nil {
		opts.Watch = func(Part, time.Time, time.Time) {}
	}
	if opts.StampPause == 0 {
		opts.StampPause = 2 * time.Second
	}
	return &Workers{
		store: st, save: attempt.NewSaver(st.DB, logger), plans: newPlans(st.Tuning, st.Strategies), slots: make(chan struct{}, opts.Slots),
		metrics: metrics, logger: logger, opts: opts,
	}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, worker(w, w.plan, func(a jobs.TunePlanArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.TuneID }))
	river.AddWorker(to, worker(w, w.shard, func(a jobs.TuneShardArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.TuneID }))
	river.AddWorker(to, worker(w, w.advance, func(a jobs.TuneAdvanceArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.TuneID }))
	river.AddWorker(to, worker(w, w.collect, func(a jobs.TuneCollectArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.TuneID }))
}

// worker is the worker of one kind; a job that fails for good fails its tune.
func worker[A river.JobArgs](w *Workers, do func(context.Context, A, store.Lease) error, of func(A) (workspace, tune uuid.UUID)) *attempt.Worker[A] {
	return &attempt.Worker[A]{
		Saver: w.save, Limit: jobTimeout, Of: of, Do: do,
		Fail: func(ctx context.Context, args A, lease store.Lease, failure store.Failure) error {
			_, tune := of(args)
			return w.store.Tuning.Fail(ctx, lease, tune, failure)
		},
	}
}
