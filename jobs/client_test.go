package jobs_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/pgtest"
)

// A worker is woken for nearly each job of several that come one soon after the other, and not for the first only.
func TestJobsInsertedSoonAfterAnotherWakeTheirWorkers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	listener, err := pgx.Connect(t.Context(), db.OwnerURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close(context.Background()) })
	var schema string
	require.NoError(t, listener.QueryRow(t.Context(), `select current_schema()`).Scan(&schema))
	_, err = listener.Exec(t.Context(), `listen `+pgx.Identifier{schema + ".river_insert"}.Sanitize()+`; listen river_insert`)
	require.NoError(t, err)
	const inserted = 20
	for range inserted {
		_, err := client.Insert(t.Context(), jobs.TunePlanArgs{WorkspaceID: uuid.New(), TuneID: uuid.New()}, nil)
		require.NoError(t, err)
		<-time.After(6 * time.Millisecond) // what is soon
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for woken := range inserted {
		_, err := listener.WaitForNotification(ctx)
		require.NoError(t, err, "%d of %d jobs woke a worker", woken, inserted)
	}
}
