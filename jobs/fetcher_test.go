package jobs

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// sessions are those of the server that fetches ran on: a tracer.
type sessions struct {
	mu  sync.Mutex
	ran []uint32
}

// TraceQueryStart implements pgx.QueryTracer.
func (s *sessions) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, riverFetch) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ran = append(s.ran, conn.PgConn().PID())
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*sessions) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// of returns the sessions since it was last asked for, each once.
func (s *sessions) of() (distinct []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[uint32]bool{}
	for _, pid := range s.ran {
		if !seen[pid] {
			seen[pid] = true
			distinct = append(distinct, pid)
		}
	}
	s.ran = nil
	return distinct
}

// fetches is a working driver and what runs its fetches.
type fetches struct {
	pool   *pgxpool.Pool
	driver *driver
	close  func()
	on     *sessions
}

func newFetches(t *testing.T, db *pgtest.DB) *fetches {
	t.Helper()
	f := &fetches{on: &sessions{}}
	cfg := workerPool(t, db).Config()
	cfg.MaxConns, cfg.ConnConfig.Tracer = 6, f.on
	var err error
	f.pool, err = pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(f.pool.Close)
	working, closed := NewWorkingDriver(f.pool)
	t.Cleanup(closed)
	f.driver, f.close = working.(*driver), closed
	return f
}

func (f *fetches) fetch(t *testing.T) error {
	t.Helper()
	_, err := f.driver.GetExecutor().JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
		ClientID: "me", MaxAttemptedBy: 3, MaxToLock: 5, Queue: "default",
	})
	return err
}

// A pool hands out the connection that was given back last, and makes one where all are in use. No fetch is on such a one.
func TestFetchesOfAWorkerRunOnOneConnectionWhateverElseDoes(t *testing.T) {
	t.Parallel()
	f := newFetches(t, pgtest.New(t))
	for range f.pool.Config().MaxConns - 1 {
		require.NoError(t, f.fetch(t))
		other, err := f.pool.Acquire(t.Context())
		require.NoError(t, err)
		defer other.Release()
	}
	require.Len(t, f.on.of(), 1)
}

// One that is slow holds up no other.
func TestAFetchDoesNotWaitForALongOne(t *testing.T) {
	t.Parallel()
	f := newFetches(t, pgtest.New(t))
	conn, err := f.driver.fetcher.take(t.Context())
	require.NoError(t, err)
	require.NoError(t, f.fetch(t))
	require.NotContains(t, f.on.of(), conn.PgConn().PID())
	f.driver.fetcher.give(conn, nil)
	require.NoError(t, f.fetch(t))
	require.Equal(t, []uint32{conn.PgConn().PID()}, f.on.of())
}

// The server of a connection on which a fetch failed may be one that has become a standby's.
func TestAFetchThatFailedLeavesItsConnection(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	f := newFetches(t, db)
	require.NoError(t, f.fetch(t))
	first := f.on.of()
	_, err := db.OwnerPool(t).Exec(t.Context(), `alter table river_job rename to river_job_gone`)
	require.NoError(t, err)
	require.Error(t, f.fetch(t))
	require.Equal(t, first, f.on.of())
	_, err = db.OwnerPool(t).Exec(t.Context(), `alter table river_job_gone rename to river_job`)
	require.NoError(t, err)
	require.NoError(t, f.fetch(t))
	require.NotEqual(t, first, f.on.of())
}

func TestAWorkerThatStopsClosesTheConnectionOfItsFetches(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.OwnerPool(t)
	for _, running := range []bool{false, true} {
		f := newFetches(t, db)
		require.NoError(t, f.fetch(t))
		of := f.on.of()
		if running {
			conn, err := f.driver.fetcher.take(t.Context())
			require.NoError(t, err)
			f.close()
			f.driver.fetcher.give(conn, nil)
		} else {
			f.close()
		}
		require.Eventually(t, func() bool {
			var open bool
			require.NoError(t, owner.QueryRow(t.Context(), `select exists (select from pg_stat_activity where pid = $1)`, of[0]).Scan(&open))
			return !open
		}, time.Minute, 5*time.Millisecond)
		require.NoError(t, f.fetch(t), "on one of the pool")
	}
}

// plan is that of a statement whose parameters are not known, as it is kept on a connection.
func plan(t *testing.T, conn *pgx.Conn) (lines string) {
	t.Helper()
	for _, sql := range []string{
		`set plan_cache_mode = force_generic_plan`,
		`prepare fetch_plan (timestamptz, int, text, text, text[], int) as ` + fetchAvailable,
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	rows, err := conn.Query(t.Context(), `explain (costs off) execute fetch_plan (null, 3, 'me', 'default', null, 5)`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(all, "\n")
}

// A fetch reads the jobs that it takes, of all that wait, by an index that has them in their order; and comes back to them by
// their places, also where its plan was made of an empty table.
func TestAFetchReadsNoMoreThanItTakes(t *testing.T) {
	t.Parallel()
	f := newFetches(t, pgtest.New(t))
	conn, err := f.driver.fetcher.take(t.Context())
	require.NoError(t, err)
	defer f.driver.fetcher.give(conn, nil)
	got := plan(t, conn)
	require.Contains(t, got, "Index Scan using river_job_prioritized_fetching_index")
	require.Contains(t, got, "Tid Scan")
	require.NotContains(t, got, "Sort")
	require.NotContains(t, got, "Seq Scan")
	pooled, err := f.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer pooled.Release()
	_, err = pooled.Exec(t.Context(), `set enable_seqscan = off`) // the empty table
	require.NoError(t, err)
	require.NotContains(t, plan(t, pooled.Conn()), "Sort")
}
