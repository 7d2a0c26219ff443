package jobs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// trips counts what is sent over the connections of a pool.
type trips struct{ queries, batches int }

func (t *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	t.queries++
	return ctx
}
func (*trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (t *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	t.batches++
	return ctx
}
func (*trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func TestAJobInsertedAloneTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	cfg, err := pgxpool.ParseConfig(pgtest.New(t).URL)
	require.NoError(t, err)
	sent := &trips{}
	cfg.MaxConns, cfg.ConnConfig.Tracer, cfg.ConnConfig.RuntimeParams["role"] = 1, sent, "millrace_app"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	client.hints.every = 0 // each hints as it commits
	args := TunePlanArgs{WorkspaceID: uuid.New(), TuneID: uuid.New()}
	_, err = client.Insert(t.Context(), args, nil) // asks what server this is
	require.NoError(t, err)
	*sent = trips{}
	inserted, err := client.Insert(t.Context(), args, nil)
	require.NoError(t, err)
	require.Equal(t, trips{queries: 1}, *sent)
	var stored bool
	require.NoError(t, pool.QueryRow(t.Context(), `select exists (select from river_job where id = $1 and state = 'available')`, inserted.Job.ID).Scan(&stored))
	require.True(t, stored)
	*sent = trips{}
	_, err = client.Insert(t.Context(), args, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})
	require.NoError(t, err)
	require.Equal(t, trips{batches: 1}, *sent, "the statement of a unique job and its hint")
}

// An insert that is given up while it waits leaves neither a job nor a connection behind.
func TestAnInsertThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	cfg, err := pgxpool.ParseConfig(db.URL)
	require.NoError(t, err)
	cfg.MaxConns, cfg.ConnConfig.RuntimeParams["role"] = 1, "millrace_app"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	args := TunePlanArgs{WorkspaceID: uuid.New(), TuneID: uuid.New()}
	_, err = client.Insert(t.Context(), args, nil)
	require.NoError(t, err)
	owner := db.OwnerPool(t)
	held, err := owner.Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), `lock table river_job in access exclusive mode`)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Insert(ctx, args, nil)
		ended <- err
	}()
	waiting := func() (n int) {
		require.NoError(t, owner.QueryRow(t.Context(), `
			select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())`).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return waiting() == 1 }, time.Minute, 5*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Eventually(t, func() bool { return waiting() == 0 }, time.Minute, 5*time.Millisecond, "the server works on")
	require.NoError(t, held.Rollback(t.Context()))
	_, err = client.Insert(t.Context(), args, nil)
	require.NoError(t, err)
	var stored int
	require.NoError(t, owner.QueryRow(t.Context(), `select count(*) from river_job`).Scan(&stored))
	require.Equal(t, 2, stored)
}

// brokenMiddleware panics around an insert.
type brokenMiddleware struct{ river.MiddlewareDefaults }

func (*brokenMiddleware) InsertMany(context.Context, []*rivertype.JobInsertParams, func(context.Context) ([]*rivertype.JobInsertResult, error)) ([]*rivertype.JobInsertResult, error) {
	panic("broken")
}

func TestAnInsertThatPanicsGivesItsConnectionBack(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	client, err := NewInsertClient(pool, slog.New(slog.DiscardHandler), &brokenMiddleware{})
	require.NoError(t, err)
	require.Panics(t, func() { _, _ = client.Insert(t.Context(), TunePlanArgs{}, nil) })
	require.Zero(t, pool.Stat().AcquiredConns())
}
