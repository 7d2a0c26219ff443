package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"millrace/jobs"
	"millrace/jobs/worker/fleet"
	"millrace/ops"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/stores"
)

type noopArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
}

// Kind implements river.JobArgs.
func (noopArgs) Kind() string { return "noop" }

type noopWorker struct {
	river.WorkerDefaults[noopArgs]
	began chan struct{} // gets a value with each job; nil: nobody waits for it
	open  *atomic.Int64 // counts down to 0, at which all is closed; nil: nobody waits for it
	all   chan struct{}
}

// Work implements river.Worker.
func (w *noopWorker) Work(ctx context.Context, _ *river.Job[noopArgs]) error {
	if w.began != nil {
		select {
		case w.began <- struct{}{}:
		case <-ctx.Done():
		}
	}
	if w.open != nil && w.open.Add(-1) == 0 {
		close(w.all)
	}
	return nil
}

// benchFleet is what works jobs that do nothing.
type benchFleet int

const (
	bareRiver benchFleet = iota // River without our triggers
	fedRiver                    // River with triggers, relay, counters, and a listener with a subscriber
	fullFleet                   // a worker of ours, and all that
)

var benchFleets = [...]string{"bare River", "River with the event feed", "fleet with the event feed"}

// noopSlots is how many jobs each has at once.
const noopSlots = 500

// benchQueue is a database in which jobs that do nothing are worked.
type benchQueue struct {
	pool  *pgxpool.Pool // of the API's role
	owner *pgxpool.Pool // above row-level security
	trace *startTrace   // nil: starts are not taken apart
	least []string      // triggers of the least possible feed, where starts are taken apart
}

func newBenchQueue(ctx context.Context, life *lifecycle, cluster *localpg.Cluster) (*benchQueue, error) {
	url, err := newBenchDatabase(ctx, cluster, "bench_queue")
	if err != nil {
		return nil, err
	}
	q := &benchQueue{}
	if q.pool, err = store.OpenPool(ctx, store.PoolOptions{DatabaseURL: url, MaxConns: 10}); err != nil {
		return nil, err
	}
	life.onStop(func(context.Context) error { q.pool.Close(); return nil })
	if q.owner, err = pgxpool.New(ctx, url); err != nil {
		return nil, err
	}
	life.onStop(func(context.Context) error { q.owner.Close(); return nil })
	return q, nil
}

// measure works the jobs with each fleet, in an order that differs from round to round.
func (q *benchQueue) measure(ctx context.Context, found *figures, many, round int) error {
	var rates [len(benchFleets)]float64
	for _, at := range shuffled(len(rates), round) {
		took, err := q.work(ctx, benchFleet(at), many)
		if err != nil {
			return err
		}
		rates[at] = float64(many) / took.Seconds()
	}
	for at, name := range benchFleets {
		found.add(name, "jobs/s", rates[at])
	}
	found.ratio("River with the event feed / bare", rates[fedRiver]/rates[bareRiver])
	found.ratio("fleet with the event feed / bare River", rates[fullFleet]/rates[bareRiver])
	return q.starts(ctx, found)
}

// shuffled is an order for so many, of its own in each round and the same in each run. In a rotation each would always follow
// the same other, and inherit what that leaves to the server.
func shuffled(many, round int) []int {
	return rand.New(rand.NewPCG(uint64(many), uint64(round))).Perm(many)
}

// setTriggers has the table of jobs have our triggers, or not, as for River without anything of ours.
func (q *benchQueue) setTriggers(ctx context.Context, on bool) error {
	enable := "disable"
	if on {
		enable = "enable"
	}
	_, err := q.owner.Exec(ctx, `alter table river_job `+enable+` trigger user`)
	return err
}

// twoCommits is what an insert of a job's row and its update take, without anybody to work it.
func (q *benchQueue) twoCommits(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	var id int64
	err := q.owner.QueryRow(ctx, `insert into bench_starts (kind, max_attempts, args, state) values ('noop', 25, '{}', 'available') returning id`).Scan(&id)
	if err == nil {
		_, err = q.owner.Exec(ctx, `update bench_starts set state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{bench}' where id = $1`, id)
	}
	return time.Since(start), err
}

// work inserts jobs and works them, and returns how long both took.
func (q *benchQueue) work(ctx context.Context, by benchFleet, many int) (time.Duration, error) {
	if err := q.setTriggers(ctx, by != bareRiver); err != nil {
		return 0, err
	}
	for _, sql := range []string{`truncate river_job`, `vacuum analyze river_job`, `checkpoint`} { // pages are logged whole once after each checkpoint
		if _, err := q.owner.Exec(ctx, sql); err != nil {
			return 0, err
		}
	}
	return q.timed(ctx, by, by != bareRiver, many)
}

// timed inserts and works jobs, with an event feed beside it or without, until all outcomes are recorded: the worker that
// stops records the last at once. To ask the database meanwhile would take a part of what is measured.
func (q *benchQueue) timed(ctx context.Context, by benchFleet, fed bool, many int) (time.Duration, error) {
	if fed {
		stop, err := q.feed(ctx)
		if err != nil {
			return 0, err
		}
		defer stop()
	}
	worker := &noopWorker{open: new(atomic.Int64), all: make(chan struct{})}
	worker.open.Store(int64(many))
	client, err := q.fleet(by, worker)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := q.insert(ctx, many); err != nil {
		return 0, err
	}
	if err := client.Start(ctx); err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-worker.all:
	}
	if err := client.Stop(ctx); err != nil {
		return 0, err
	}
	took := time.Since(start)
	var open bool
	err = q.owner.QueryRow(ctx, `select exists (select from river_job where kind = 'noop' and state <> 'completed')`).Scan(&open)
	if err == nil && open {
		err = errors.New("a job was worked and is not recorded")
	}
	return took, err
}

// fleet is a client that has a worker work the jobs once it is started.
func (q *benchQueue) fleet(by benchFleet, worker *noopWorker) (interface {
	Start(context.Context) error
	Stop(context.Context) error
}, error) {
	logger := slog.New(slog.DiscardHandler)
	if by == fullFleet {
		return fleet.New(fleet.Options{
			Pool: q.pool, Slots: jobs.Slots{river.QueueDefault: noopSlots}, Metrics: ops.NewMetrics(), Logger: logger, Version: "bench", Drain: 5 * time.Second,
		}, func(_ *stores.Set, workers *river.Workers) { river.AddWorker(workers, worker) })
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, worker)
	return river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		Logger: logger, Workers: workers, FetchCooldown: fleet.FetchCooldown,
		Queues:              map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: noopSlots}},
		ReindexerIndexNames: []string{},
	})
}

// insert inserts jobs by the thousand. Row-level security, which the owner is above, refuses the copy by which that is fast.
func (q *benchQueue) insert(ctx context.Context, many int) error {
	client, err := river.NewClient(riverpgxv5.New(q.owner), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	space := uuid.New()
	for many > 0 {
		params := make([]river.InsertManyParams, min(many, 1000))
		for i := range params {
			params[i].Args = noopArgs{WorkspaceID: space}
		}
		if _, err := client.InsertManyFast(ctx, params); err != nil {
			return err
		}
		many -= len(params)
	}
	return nil
}
