// Package storetest is what the tests of all aggregates share: a filled database, work in every state, and the race
// of each two transitions of a state machine.
package storetest

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// Fixture is a database of its own with a workspace and a dataset. Owner sees the rows of every workspace.
type Fixture struct {
	T       testing.TB
	Store   *stores.Set
	Pool    *pgxpool.Pool // of the fleet
	Owner   *pgxpool.Pool
	Space   tenants.Workspace
	Dataset market.Dataset
	Bars    *backtest.Bars
}

// New clones a database for t and fills it.
func New(t testing.TB) *Fixture {
	t.Helper()
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 6})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	d := &Fixture{T: t, Store: stores.New(pool, client), Pool: pool, Owner: db.OwnerPool(t)}
	spaces, err := store.OpenWorkspaces(t.Context(), pool, store.Login{DatabaseURL: db.Limited}, 6)
	require.NoError(t, err)
	t.Cleanup(spaces.Close)
	d.Store.SetWorkspaces(spaces)
	d.Space, err = d.Store.Tenants.CreateWorkspace(t.Context(), "main", 2)
	require.NoError(t, err)
	d.Bars, err = ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 500})
	require.NoError(t, err)
	d.Dataset, err = d.Store.Market.PutDataset(t.Context(), d.Space.ID,
		market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: 252}, d.Bars)
	require.NoError(t, err)
	return d
}

// Exec executes a statement of the owner's.
func (d *Fixture) Exec(sql string, args ...any) {
	d.T.Helper()
	_, err := d.Owner.Exec(d.T.Context(), sql, args...)
	require.NoError(d.T, err)
}

// Open begins a transaction, executes in it, and leaves it open.
func (d *Fixture) Open(sql string) pgx.Tx {
	d.T.Helper()
	tx, err := d.Owner.Begin(d.T.Context())
	require.NoError(d.T, err)
	d.T.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(d.T.Context(), sql)
	require.NoError(d.T, err)
	return tx
}

// AwaitReaders waits for every transaction that is open on the server, of any database.
func (d *Fixture) AwaitReaders() {
	d.T.Helper()
	var now uint64
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `select pg_current_xact_id()`).Scan(&now))
	require.Eventually(d.T, func() bool {
		var oldest uint64
		err := d.Owner.QueryRow(d.T.Context(), `select pg_snapshot_xmin(pg_current_snapshot())`).Scan(&oldest)
		return err == nil && oldest > now
	}, time.Minute, 2*time.Millisecond)
}

// EventTypes are the types of an entity's events, in order.
func (d *Fixture) EventTypes(entity uuid.UUID) []string {
	d.T.Helper()
	rows, err := d.Owner.Query(d.T.Context(), `select type from event_log where entity_id = $1 order by xid, id`, entity.String())
	require.NoError(d.T, err)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.T, err)
	return types
}

// AwaitBlocked waits until another connection of the database waits for a lock.
func (d *Fixture) AwaitBlocked() {
	d.T.Helper()
	d.AwaitBlockedBy(1)
}

// AwaitBlockedBy waits until so many connections do.
func (d *Fixture) AwaitBlockedBy(count int) {
	d.T.Helper()
	require.Eventually(d.T, func() bool {
		var waiting int
		err := d.Owner.QueryRow(d.T.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting >= count
	}, 20*time.Second, 5*time.Millisecond)
}

// Count scans the one number of a query of the owner's.
func (d *Fixture) Count(query string, args ...any) (n int) {
	d.T.Helper()
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), query, args...).Scan(&n))
	return n
}

// Claim makes the job run as its next attempt on the named worker, as River's fetch does.
func (d *Fixture) Claim(job int64, worker string) store.Lease {
	d.T.Helper()
	lease := store.Lease{Workspace: d.Space.ID, JobID: job, Complete: func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update river_job set state = 'completed', finalized_at = now() where id = $1`, job)
		return err
	}}
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `
		update river_job set state = 'running', attempt = attempt + 1, attempted_at = now() - interval '1 minute',
		       attempted_by = array_append(attempted_by, $2)
		 where id = $1 returning attempt`, job, worker).Scan(&lease.Attempt))
	return lease
}

// JobState is the state of a River job.
func (d *Fixture) JobState(job int64) (state string) {
	d.T.Helper()
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `select state from river_job where id = $1`, job).Scan(&state))
	return state
}

// JobOf finds a job id by a query of the owner's.
func (d *Fixture) JobOf(query string, args ...any) (job int64) {
	d.T.Helper()
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), query, args...).Scan(&job))
	return job
}

// Size is how large a benchmark is: the number in an environment variable, or what it is without one.
func Size(b *testing.B, variable string, without int) int {
	text := os.Getenv(variable)
	if text == "" {
		return without
	}
	size, err := strconv.Atoi(text)
	require.NoError(b, err)
	return size
}
