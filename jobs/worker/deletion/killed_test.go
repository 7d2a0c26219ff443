package deletion_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/worker/deletion"
	"millrace/jobs/worker/fleet"
	"millrace/ops"
	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/vector"
)

// workerEnv makes the test binary a worker process on the database it names.
const workerEnv = "DELETION_TEST_WORKER"

func TestMain(m *testing.M) {
	url := os.Getenv(workerEnv)
	if url == "" {
		os.Exit(m.Run())
	}
	stop, err := startWorker(context.Background(), url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer stop()
	select {} // until it is killed
}

// startWorker works the queue of deletions.
func startWorker(ctx context.Context, url string) (stop func(), err error) {
	id := fleet.NewID()
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: url, MaxConns: 8, Worker: id})
	if err != nil {
		return nil, err
	}
	metrics, logger := ops.NewMetrics(), slog.New(slog.DiscardHandler)
	member, err := fleet.New(fleet.Options{
		ID: id, Pool: pool, Slots: jobs.Slots{jobs.QueueRetention: 1, jobs.QueueMaintenance: 1}, Metrics: metrics, Logger: logger, Version: "test", Drain: time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		deletion.New(st.DB, st.Lifecycle, vector.NewEmbedded(pool, pool, 0), metrics, logger).Register(workers)
	})
	if err != nil {
		return nil, err
	}
	return func() { _ = member.Stop(context.Background()); pool.Close() }, member.Start(ctx)
}

// A worker that is killed in the middle of a deletion leaves what it committed, and another takes the rest.
func TestADeletionEndsThoughItsWorkerIsKilled(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	d.Exec(`insert into tune_shards (tune_id, shard, workspace_id, first_trial, n_trials, start_cursor, done)
		select $1, n, $2, n, 1, n, true from generate_series(0, 2999) n`, tune.ID, d.Space.ID)
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, lifecycle.Request{Kind: lifecycle.Tune, IDs: []uuid.UUID{tune.ID}, Cascade: true})
	require.NoError(t, err)

	left := killInTheMiddle(d, tune.ID)
	require.Eventually(t, func() bool {
		done, err := d.Store.Lifecycle.Deletion(ctx, d.Space.ID, made.ID)
		return err == nil && done.Status == "completed"
	}, 2*time.Minute, 50*time.Millisecond)
	require.Zero(t, left())
	require.Zero(t, d.Count(`select (select count(*) from tunes) + (select count(*) from deletion_items)`))
	require.Equal(t, 3001, d.Count(`select rows_deleted from deletions where id = $1`, made.ID), "each row is counted once")
}

// The job of a workspace's deletion is killed in the middle of it, and another process takes the rest, the workspace and
// what the vector index has of it.
func TestAWorkspaceIsDeletedThoughItsWorkerIsKilled(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	d.Exec(`insert into tune_shards (tune_id, shard, workspace_id, first_trial, n_trials, start_cursor, done)
		select $1, n, $2, n, 1, n, true from generate_series(0, 2999) n`, tune.ID, d.Space.ID)
	_, err := d.Store.Lifecycle.DeleteWorkspace(ctx, d.Space.ID, "main", "ada")
	require.NoError(t, err)

	killInTheMiddle(d, tune.ID)
	require.Eventually(t, func() bool {
		done, err := d.Store.Lifecycle.WorkspaceDeletion(ctx, d.Space.ID)
		return err == nil && done.Status == "completed"
	}, 2*time.Minute, 50*time.Millisecond)
	for _, table := range d.WorkspaceTables() {
		if table != "audit_log" && table != "audit_heads" && table != "audit_unsealed" {
			require.Zero(t, d.RowsOf(table, d.Space.ID), table)
		}
	}
	require.Zero(t, d.Count(`select count(*) from workspaces where id = $1`, d.Space.ID))
}

// killInTheMiddle has a worker delete the 3,000 shards of a tune as far as one that is locked, kills it there, and starts
// another. It returns how many shards are left.
func killInTheMiddle(d *storetest.Fixture, tune uuid.UUID) (left func() int) {
	t := d.T
	t.Helper()
	ctx := t.Context()
	locked, err := d.Owner.Begin(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { _ = locked.Rollback(context.Background()) })
	_, err = locked.Exec(ctx, `select from tune_shards where tune_id = $1 and shard = 1700 for update`, tune)
	require.NoError(t, err)
	url := d.Store.Pool().Config().ConnString()
	worker := exec.Command(os.Args[0], "-test.run", "^$")
	worker.Env = append(os.Environ(), workerEnv+"="+url)
	require.NoError(t, worker.Start())
	left = func() int { return d.Count(`select count(*) from tune_shards where tune_id = $1`, tune) }
	require.Eventually(t, func() bool { return left() < 3000 }, time.Minute, 20*time.Millisecond)
	d.AwaitBlocked()
	require.NoError(t, worker.Process.Kill())
	_ = worker.Wait()
	require.Positive(t, left(), "it was killed in the middle")
	require.NoError(t, locked.Rollback(ctx))

	stop, err := startWorker(ctx, url)
	require.NoError(t, err)
	t.Cleanup(stop)
	return left
}
