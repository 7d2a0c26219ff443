package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
	"millrace/jobs/worker/fleet"
	"millrace/ops/routine"
)

// idleStarts is how many jobs are timed that are inserted one after the other into an idle fleet, in startRounds rounds, and
// warmStarts how many come before in each: the first on a connection has the server read its catalogue and plan, in 5 ms or more.
const (
	startRounds = 4
	idleStarts  = 50
	warmStarts  = 50
)

// starter is what inserts and works jobs whose starts are timed.
type starter struct {
	name     string
	by       benchFleet
	triggers bool
	least    bool // with the triggers of the least possible feed instead
	inserter interface {
		Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	}
	startTimes
}

// starters are the fleet, River without anything of ours and, where starts are taken apart, a worker of ours without triggers
// and one with those of the least possible feed.
// What inserts is another process than what works, with connections of its own.
func (q *benchQueue) starters(inserts *pgxpool.Pool) ([]starter, error) {
	logger := slog.New(slog.DiscardHandler)
	ours, err := jobs.NewInsertClient(inserts, logger)
	if err != nil {
		return nil, err
	}
	rivers, err := river.NewClient(riverpgxv5.New(inserts), &river.Config{Logger: logger, FetchCooldown: fleet.FetchCooldown})
	if err != nil {
		return nil, err
	}
	all := []starter{
		{name: benchFleets[fullFleet], by: fullFleet, triggers: true, inserter: ours},
		{name: benchFleets[bareRiver], by: bareRiver, inserter: rivers},
	}
	if q.trace != nil {
		all = append(all, starter{name: untriggered, by: fullFleet, inserter: ours}, starter{name: leastFed, by: fullFleet, inserter: ours, least: true})
	}
	return all, nil
}

// starts times jobs of idle fleets from the call that inserts one to its work, in rounds of each. Beside each it times what
// nobody can do without: a statement that inserts the job's row and one that updates it, each committed, over one connection;
// and the same with a notification between them, over two.
func (q *benchQueue) starts(ctx context.Context, found *figures) error {
	if _, err := q.owner.Exec(ctx, `create table if not exists bench_starts (like river_job including all)`); err != nil {
		return err
	}
	inserts, err := pgxpool.NewWithConfig(ctx, q.pool.Config())
	if err != nil {
		return err
	}
	defer inserts.Close()
	all, err := q.starters(inserts)
	if err != nil {
		return err
	}
	for round := range startRounds {
		for _, at := range shuffled(len(all), round) {
			if err := q.startsOf(ctx, &all[at]); err != nil {
				return err
			}
		}
	}
	var handover []time.Duration
	for _, of := range all {
		handover = append(handover, of.handover...)
	}
	named := []struct {
		name string
		took []time.Duration
	}{
		{"job of an idle fleet, insert to work", all[0].took}, {"of that, the insert", all[0].inserted},
		{"job of bare River, idle, insert to work", all[1].took},
		{"the same row inserted and updated, a commit each", all[0].commits},
		{leastHandover, handover},
	}
	for _, of := range all[2:] {
		named = append(named, struct {
			name string
			took []time.Duration
		}{"job of " + of.name + ", idle, insert to work", of.took})
	}
	for _, of := range named {
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
	leastFed      = "a worker of ours, least possible feed"
	leastHandover = "the same row inserted, notified and fetched"
)

// startsOf times a round of one fleet's starts, with our triggers or not.
func (q *benchQueue) startsOf(ctx context.Context, of *starter) error {
	if err := q.setTriggers(ctx, of.triggers); err != nil {
		return err
	}
	for _, trigger := range q.least {
		if _, err := q.owner.Exec(ctx, fmt.Sprintf(`alter table river_job %s trigger %s`, map[bool]string{true: "enable", false: "disable"}[of.least], trigger)); err != nil {
			return err
		}
	}
	floor, err := q.newHandover(ctx)
	if err != nil {
		return err
	}
	defer floor.close()
	began := make(chan struct{})
	client, err := q.fleet(of.by, &noopWorker{began: began})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	for i := range warmStarts + idleStarts {
		if err := q.start(ctx, of, began, floor, i >= warmStarts); err != nil {
			return err
		}
	}
	return client.Stop(ctx)
}

// start times one job, and beside it what nobody can do without, unless they only warm what the next run on.
func (q *benchQueue) start(ctx context.Context, of *starter, began <-chan struct{}, floor *handover, timed bool) error {
	if err := idle(ctx); err != nil {
		return err
	}
	q.trace.begins()
	start := time.Now()
	if _, err := of.inserter.Insert(ctx, noopArgs{WorkspaceID: uuid.New()}, nil); err != nil {
		return err
	}
	inserted := time.Since(start)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-began:
	}
	took := time.Since(start)
	if timed {
		q.trace.began(of.name, start, inserted)
	}
	commits, err := q.twoCommits(ctx)
	if err != nil {
		return err
	}
	if err := idle(ctx); err != nil { // what has just run is quicker than what has to be woken
		return err
	}
	handover, err := floor.time(ctx)
	if err != nil || !timed {
		return err
	}
	q.trace.note(leastHandover, handover)
	of.took, of.inserted = append(of.took, took), append(of.inserted, inserted)
	of.commits, of.handover = append(of.commits, commits), append(of.handover, handover.worked)
	return nil
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

// handover is the least by which a row that one connection inserts can be fetched by another that waits for it: the insert and
// its notification in one trip, and the statement that takes the row once the notification has come. Nothing else is in
// between: no pool, no queue's slots, no goroutines beside the two.
type handover struct {
	pool     *pgxpool.Pool
	listener *pgx.Conn
}

func (q *benchQueue) newHandover(ctx context.Context) (*handover, error) {
	conn, err := pgx.ConnectConfig(ctx, q.owner.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{`truncate bench_starts`, `listen bench_starts`} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	return &handover{q.owner, conn}, nil
}

func (f *handover) close() { _ = f.listener.Close(context.Background()) }

// time is what one row takes, in the steps of a start.
func (f *handover) time(ctx context.Context) (took startSteps, err error) {
	conn, err := f.pool.Acquire(ctx)
	if err != nil {
		return took, err
	}
	defer conn.Release()
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	start, fetched := time.Now(), make(chan error, 1)
	routine.Go(func() error {
		if _, err := f.listener.WaitForNotification(waiting); err != nil {
			return err
		}
		took.fetchBegan = time.Since(start)
		var id int64
		err := f.listener.QueryRow(ctx, `update bench_starts set state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{bench}'
			where ctid = any (array(select ctid from bench_starts where state = 'available' and queue = 'default'
			                         order by priority, scheduled_at, id limit 1 for update skip locked)) returning id`).Scan(&id)
		took.fetchEnded = time.Since(start)
		return err
	}, func(err error) { fetched <- err })
	batch := &pgx.Batch{}
	batch.Queue(`insert into bench_starts (kind, max_attempts, args, state) values ('noop', 25, '{}', 'available')`)
	batch.Queue(`select pg_notify('bench_starts', '')`)
	err = conn.SendBatch(ctx, batch).Close()
	inserted := time.Since(start)
	if err != nil {
		stop()
	}
	err = errors.Join(err, <-fetched)
	took.inserted, took.worked = inserted, took.fetchEnded
	return took, err
}

// startTrace takes starts apart by the statement that inserted the job and the one that fetched it: a tracer of the pool.
type startTrace struct {
	mu           sync.Mutex
	sent         time.Time // when the last insert was sent
	begun, ended time.Time // of the last fetch that found a job
	known        map[ranOn]bool
	news         []string // statements that their connections had not run before, of the start that runs
	steps        map[string][]startSteps
}

// ranOn is a statement and a session of the server.
type ranOn struct {
	statement string
	session   uint32
}

func newStartTrace() *startTrace {
	return &startTrace{known: map[ranOn]bool{}, steps: map[string][]startSteps{}}
}

// startSteps are the steps of one start, each from the call of the insert.
type startSteps struct {
	sent, inserted, fetchBegan, fetchEnded, worked time.Duration

	news string // what ran on connections that had not run it before, in milliseconds of which the server reads its catalogue
}

func (s startSteps) String() string {
	return fmt.Sprintf("insert sent after %.2f ms, answered after %.2f, fetch sent after %.2f, answered after %.2f, work began after %.2f%s",
		milliseconds(s.sent), milliseconds(s.inserted), milliseconds(s.fetchBegan), milliseconds(s.fetchEnded), milliseconds(s.worked), s.news)
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// How River's statements begin that a start runs.
const (
	insertStatement = "-- name: JobInsertFastMany :many"
	fetchStatement  = "-- name: JobGetAvailable :many"
)

type fetchBegan struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (t *startTrace) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	now := time.Now()
	statement, _, _ := strings.Cut(data.SQL, "\n")
	if statement != insertStatement && statement != fetchStatement {
		return ctx
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ran := (ranOn{statement, conn.PgConn().PID()}); !t.known[ran] {
		t.known[ran] = true
		t.news = append(t.news, strings.Fields(statement)[2])
	}
	if statement == insertStatement {
		t.sent = now
		return ctx
	}
	return context.WithValue(ctx, fetchBegan{}, now)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t *startTrace) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	begun, ok := ctx.Value(fetchBegan{}).(time.Time)
	if !ok || data.CommandTag.RowsAffected() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun, t.ended = begun, time.Now()
}

// TraceBatchStart implements pgx.BatchTracer.
func (*startTrace) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (*startTrace) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (*startTrace) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// begins forgets what came before a start.
func (t *startTrace) begins() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.news = nil
}

// began notes the steps of a job that is worked now.
func (t *startTrace) began(of string, start time.Time, inserted time.Duration) {
	if t == nil {
		return
	}
	worked := time.Since(start)
	t.mu.Lock()
	defer t.mu.Unlock()
	steps := startSteps{sent: t.sent.Sub(start), inserted: inserted, fetchBegan: t.begun.Sub(start), fetchEnded: t.ended.Sub(start), worked: worked}
	if len(t.news) > 0 {
		steps.news = ", on connections new to " + strings.Join(t.news, " and ")
	}
	t.steps[of] = append(t.steps[of], steps)
}

// note adds the steps of what was timed elsewhere.
func (t *startTrace) note(of string, steps startSteps) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps[of] = append(t.steps[of], steps)
}

// taken are the median of each step, and the steps of the slowest hundredth.
func (t *startTrace) taken(of string) (medians startSteps, slowest []startSteps) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.SortedFunc(slices.Values(t.steps[of]), func(a, b startSteps) int { return int(b.worked - a.worked) })
	return mediansOf(all), all[:(len(all)+99)/100]
}

// mediansOf has the median of each step.
func mediansOf(starts []startSteps) startSteps {
	of := func(step func(startSteps) time.Duration) time.Duration {
		var all []time.Duration
		for _, s := range starts {
			all = append(all, step(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return startSteps{
		sent:       of(func(s startSteps) time.Duration { return s.sent }),
		inserted:   of(func(s startSteps) time.Duration { return s.inserted }),
		fetchBegan: of(func(s startSteps) time.Duration { return s.fetchBegan }),
		fetchEnded: of(func(s startSteps) time.Duration { return s.fetchEnded }),
		worked:     of(func(s startSteps) time.Duration { return s.worked }),
	}
}
