package jobs_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
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

// What is prepared for a statement of ours is what River inserts of the same job, in every column but its number and times.
func TestAPreparedJobIsWhatRiverInserts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler), &withMetadata{})
	require.NoError(t, err)
	args := jobs.TunePlanArgs{WorkspaceID: uuid.New(), TuneID: uuid.New()}
	for _, opts := range []river.InsertOpts{{}, {Priority: jobs.PriorityShare}, {Pending: true}, {Pending: true, Priority: jobs.PriorityFirst, Queue: "other", MaxAttempts: 2}} {
		prepared, err := client.Prepare(t.Context(), args, opts)
		require.NoError(t, err)
		inserted, err := client.Insert(t.Context(), args, &opts)
		require.NoError(t, err)
		require.Equal(t, inserted.Job.State, prepared.State)
		require.JSONEq(t, string(inserted.Job.EncodedArgs), string(prepared.EncodedArgs))
		require.JSONEq(t, string(inserted.Job.Metadata), string(prepared.Metadata))
		require.Contains(t, string(prepared.Metadata), "noted")
		require.Equal(t, inserted.Job.Kind, prepared.Kind)
		require.Equal(t, inserted.Job.MaxAttempts, prepared.MaxAttempts)
		require.Equal(t, inserted.Job.Priority, prepared.Priority)
		require.Equal(t, inserted.Job.Queue, prepared.Queue)
		require.Equal(t, inserted.Job.Tags, prepared.Tags)
		require.Empty(t, inserted.Job.UniqueKey)
	}
	_, err = client.Prepare(t.Context(), args, river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})
	require.Error(t, err)
}

// withMetadata is middleware that adds to the metadata of what is inserted.
type withMetadata struct{ river.MiddlewareDefaults }

func (*withMetadata) InsertMany(ctx context.Context, many []*rivertype.JobInsertParams,
	insert func(context.Context) ([]*rivertype.JobInsertResult, error),
) ([]*rivertype.JobInsertResult, error) {
	for _, job := range many {
		job.Metadata = []byte(`{"noted": true}`)
	}
	return insert(ctx)
}
