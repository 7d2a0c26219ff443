package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/ops/routine"
)

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
