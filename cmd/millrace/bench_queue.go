package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

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

// idleStarts is how many jobs are timed that are inserted one after the other into an idle fleet, and warmStarts how many come
// before: the first on a connection has the server read its catalogue and plan, in 5 ms or more.
const (
	idleStarts = 200
	warmStarts = 100
)

// starts times jobs of an idle fleet from the call that inserts one to its work, and the same of River without anything of
// ours; where starts are taken apart, also those of a worker of ours without triggers. Beside each of the fleet's it times what nobody can do without: a statement that inserts the job's row and one that
// updates it, each committed, over one connection; and the same with a notification between them, over two.
func (q *benchQueue) starts(ctx context.Context, found *figures) error {
	if _, err := q.owner.Exec(ctx, `create table if not exists bench_starts (like river_job including all)`); err != nil {
		return err
	}
	ours, err := jobs.NewInsertClient(q.pool, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	of, err := q.startsOf(ctx, benchFleets[fullFleet], fullFleet, true, ours)
	if err != nil {
		return err
	}
	if q.trace != nil {
		if _, err := q.startsOf(ctx, untriggered, fullFleet, false, ours); err != nil {
			return err
		}
	}
	rivers, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{Logger: slog.New(slog.DiscardHandler), FetchCooldown: fleet.FetchCooldown})
	if err != nil {
		return err
	}
	bare, err := q.startsOf(ctx, benchFleets[bareRiver], bareRiver, false, rivers)
	if err != nil {
		return err
	}
	for _, of := range []struct {
		name string
		took []time.Duration
	}{
		{"job of an idle fleet, insert to work", of.took}, {"of that, the insert", of.inserted},
		{"job of bare River, idle, insert to work", bare.took},
		{"the same row inserted and updated, a commit each", of.commits},
		{leastHandover, append(of.handover, bare.handover...)},
	} {
		slices.Sort(of.took)
		found.add(of.name+", p50", "ms", of.took[len(of.took)/2].Seconds()*1000)
		found.add(of.name+", p99", "ms", of.took[(len(of.took)-1)*99/100].Seconds()*1000)
	}
	return nil
}

// startTimes are what jobs of an idle fleet took, and what was timed right after each of them.
type startTimes struct{ took, inserted, commits, handover []time.Duration }

// Names of starts that are only taken apart.
const (
	untriggered   = "a worker of ours, without triggers"
	leastHandover = "the same row inserted, notified and fetched"
)

// startsOf times what one fleet does with what a client inserts, with our triggers or not.
func (q *benchQueue) startsOf(ctx context.Context, name string, by benchFleet, triggers bool, inserter interface {
	Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
},
) (of startTimes, err error) {
	if err := q.setTriggers(ctx, triggers); err != nil {
		return of, err
	}
	floor, err := q.newHandover(ctx)
	if err != nil {
		return of, err
	}
	defer floor.close()
	began := make(chan struct{})
	client, err := q.fleet(by, &noopWorker{began: began})
	if err != nil {
		return of, err
	}
	if err := client.Start(ctx); err != nil {
		return of, err
	}
	for i := range warmStarts + idleStarts {
		if err := idle(ctx); err != nil {
			return of, err
		}
		q.trace.begins()
		start := time.Now()
		if _, err := inserter.Insert(ctx, noopArgs{WorkspaceID: uuid.New()}, nil); err != nil {
			return of, err
		}
		of.inserted = append(of.inserted, time.Since(start))
		select {
		case <-ctx.Done():
			return of, ctx.Err()
		case <-began:
		}
		of.took = append(of.took, time.Since(start))
		if i >= warmStarts {
			q.trace.began(name, start, of.inserted[i])
		}
		commits, err := q.twoCommits(ctx)
		if err != nil {
			return of, err
		}
		of.commits = append(of.commits, commits)
		if err := idle(ctx); err != nil { // what has just run is quicker than what has to be woken
			return of, err
		}
		handover, err := floor.time(ctx)
		if err != nil {
			return of, err
		}
		of.handover = append(of.handover, handover.worked)
		if i >= warmStarts {
			q.trace.note(leastHandover, handover)
		}
	}
	for _, times := range []*[]time.Duration{&of.took, &of.inserted, &of.commits, &of.handover} {
		*times = (*times)[warmStarts:]
	}
	return of, client.Stop(ctx)
}

// idle waits until the fleet is idle again, without a rhythm.
func idle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(5+rand.IntN(10)) * time.Millisecond):
		return nil
	}
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
