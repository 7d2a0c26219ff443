package fleet

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

// fetchSessions are the sessions of the server that fetches ran on: a tracer.
type fetchSessions struct {
	mu   sync.Mutex
	pids map[uint32]int
}

// TraceQueryStart implements pgx.QueryTracer.
func (s *fetchSessions) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, "-- name: JobGetAvailable") {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pids[conn.PgConn().PID()]++
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*fetchSessions) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (*fetchSessions) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (*fetchSessions) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (*fetchSessions) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// passArgs are a job that does nothing.
type passArgs struct{}

func (passArgs) Kind() string { return "test.pass" }

type passWorker struct {
	river.WorkerDefaults[passArgs]
	passed chan struct{}
}

func (w *passWorker) Work(context.Context, *river.Job[passArgs]) error {
	w.passed <- struct{}{}
	return nil
}

// Whatever else a worker does meanwhile, on as many connections as its pool may have.
func TestTheFetchesOfAWorkerHaveAConnectionUntilItStops(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	on := &fetchSessions{pids: map[uint32]int{}}
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 6, Spans: on})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	worker := &passWorker{passed: make(chan struct{}, 1)}
	member, err := New(Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueIngestion: 1}, Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler), Drain: 5 * time.Second,
	}, func(_ *stores.Set, workers *river.Workers) { river.AddWorker(workers, worker) })
	require.NoError(t, err)
	require.NoError(t, member.Start(t.Context()))
	for range 4 {
		_, err := member.Insert(t.Context(), passArgs{}, &river.InsertOpts{Queue: jobs.QueueIngestion})
		require.NoError(t, err)
		<-worker.passed
		other, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		defer other.Release()
	}
	require.NoError(t, member.Stop(context.WithoutCancel(t.Context())))
	on.mu.Lock()
	defer on.mu.Unlock()
	require.Len(t, on.pids, 1)
	owner := db.OwnerPool(t)
	for pid := range on.pids {
		require.Eventually(t, func() bool {
			var open bool
			err := owner.QueryRow(t.Context(), `select exists (select from pg_stat_activity where pid = $1)`, pid).Scan(&open)
			return err == nil && !open
		}, time.Minute, 5*time.Millisecond)
	}
}
