package fleet

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

// waitArgs are a job that waits for an hour whenever it is worked.
type waitArgs struct{}

func (waitArgs) Kind() string { return "test.wait" }

type waitWorker struct{ river.WorkerDefaults[waitArgs] }

func (waitWorker) Work(context.Context, *river.Job[waitArgs]) error {
	return river.JobSnooze(time.Hour)
}

// The machine's clock is two hours ahead of what the process knows as the database's time. No heartbeat
// sets it right here, so what River schedules shows by which of the two it goes.
func TestRiverSchedulesByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 6})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	member, err := New(Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueIngestion: 1}, Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler),
	}, func(_ *stores.Set, workers *river.Workers) { river.AddWorker(workers, &waitWorker{}) })
	require.NoError(t, err)
	now := time.Now()
	member.store.Clock().Set(now.Add(-2*time.Hour), now, now)
	require.NoError(t, member.Client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, member.Client.StopAndCancel(context.Background())) })
	inserted, err := member.Insert(t.Context(), waitArgs{}, &river.InsertOpts{Queue: jobs.QueueIngestion})
	require.NoError(t, err)
	owner := db.OwnerPool(t)
	require.Eventually(t, func() bool {
		var hourAgo bool
		err := owner.QueryRow(t.Context(), `
			select metadata ? 'snoozes' and scheduled_at between clock_timestamp() - interval '2 hours' and clock_timestamp() - interval '30 minutes'
			  from river_job where id = $1`, inserted.Job.ID).Scan(&hourAgo)
		return err == nil && hourAgo
	}, 20*time.Second, 20*time.Millisecond, "the job was not scheduled an hour after the database's time")
}
