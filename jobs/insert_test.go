package jobs

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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
	require.Equal(t, trips{batches: 1}, *sent)
	var stored bool
	require.NoError(t, pool.QueryRow(t.Context(), `select exists (select from river_job where id = $1 and state = 'available')`, inserted.Job.ID).Scan(&stored))
	require.True(t, stored)
}
