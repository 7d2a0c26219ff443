package main

import (
	"context"
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

// time is what one row takes.
func (f *handover) time(ctx context.Context) (took time.Duration, err error) {
	conn, err := f.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	start, fetched := time.Now(), make(chan error, 1)
	routine.Go(func() error {
		if _, err := f.listener.WaitForNotification(ctx); err != nil {
			return err
		}
		var id int64
		err := f.listener.QueryRow(ctx, `update bench_starts set state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{bench}'
			where ctid = any (array(select ctid from bench_starts where state = 'available' and queue = 'default'
			                         order by priority, scheduled_at, id limit 1 for update skip locked)) returning id`).Scan(&id)
		took = time.Since(start)
		return err
	}, func(err error) { fetched <- err })
	batch := &pgx.Batch{}
	batch.Queue(`insert into bench_starts (kind, max_attempts, args, state) values ('noop', 25, '{}', 'available')`)
	batch.Queue(`select pg_notify('bench_starts', '')`)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return 0, err
	}
	err = <-fetched
	return took, err
}

// startTrace takes starts apart by the statement that fetched the job: a tracer of the pool.
type startTrace struct {
	mu           sync.Mutex
	begun, ended time.Time // of the last fetch that found a job
	steps        map[benchFleet][]startSteps
}

// startSteps are the steps of one start, each from the insert's begin.
type startSteps struct{ inserted, fetchBegan, fetchEnded, worked time.Duration }

func (s startSteps) String() string {
	return fmt.Sprintf("inserted after %.2f ms, fetch began after %.2f, ended after %.2f, work began after %.2f",
		milliseconds(s.inserted), milliseconds(s.fetchBegan), milliseconds(s.fetchEnded), milliseconds(s.worked))
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

type fetchBegan struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (t *startTrace) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.HasPrefix(data.SQL, "-- name: JobGetAvailable") {
		return ctx
	}
	return context.WithValue(ctx, fetchBegan{}, time.Now())
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

// began notes the steps of a job that is worked now.
func (t *startTrace) began(by benchFleet, start time.Time, inserted time.Duration) {
	if t == nil {
		return
	}
	worked := time.Since(start)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps[by] = append(t.steps[by], startSteps{inserted, t.begun.Sub(start), t.ended.Sub(start), worked})
}

// taken are the median of each step, and the steps of the slowest hundredth.
func (t *startTrace) taken(by benchFleet) (medians startSteps, slowest []startSteps) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.SortedFunc(slices.Values(t.steps[by]), func(a, b startSteps) int { return int(b.worked - a.worked) })
	return t.medians(by), all[:(len(all)+99)/100]
}

// medians has the median of each step.
func (t *startTrace) medians(by benchFleet) startSteps {
	of := func(step func(startSteps) time.Duration) time.Duration {
		var all []time.Duration
		for _, s := range t.steps[by] {
			all = append(all, step(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return startSteps{
		inserted:   of(func(s startSteps) time.Duration { return s.inserted }),
		fetchBegan: of(func(s startSteps) time.Duration { return s.fetchBegan }),
		fetchEnded: of(func(s startSteps) time.Duration { return s.fetchEnded }),
		worked:     of(func(s startSteps) time.Duration { return s.worked }),
	}
}
