package lifecycle_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// Work that names a dataset and the deletion of that dataset at once: exactly one of them is done, in either order.
func TestASubmissionAndTheDeletionOfItsDatasetExcludeEachOther(t *testing.T) {
	t.Parallel()
	for name, submit := range map[string]func(d *storetest.Fixture) error{
		"a tune": func(d *storetest.Fixture) error { _, err := d.Submit("k"); return err },
		"a run":  func(d *storetest.Fixture) error { _, err := putRun(d.T.Context(), d, "k", d.Dataset.ID); return err },
	} {
		t.Run(name+" first", func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			// The submission is held up after it holds the dataset: its insert waits for the table.
			hold := d.Open(`lock table tunes, backtest_runs in share mode`)
			submitted, deleted := make(chan error, 1), make(chan error, 1)
			go func() { submitted <- submit(d) }()
			d.AwaitBlocked()
			go func() {
				_, err := d.Store.Lifecycle.Delete(t.Context(), d.Space.ID, request(lifecycle.Dataset, d.Dataset.ID))
				deleted <- err
			}()
			d.AwaitBlockedBy(2)
			require.NoError(t, hold.Rollback(t.Context()))
			require.NoError(t, <-submitted)
			require.Len(t, refused(t, <-deleted).Dependants, 1)
		})
		t.Run(name+" second", func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			hold := d.Open(`lock table deletions in share mode`)
			submitted, deleted := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := d.Store.Lifecycle.Delete(t.Context(), d.Space.ID, request(lifecycle.Dataset, d.Dataset.ID))
				deleted <- err
			}()
			d.AwaitBlocked()
			go func() { submitted <- submit(d) }()
			d.AwaitBlockedBy(2)
			require.NoError(t, hold.Rollback(t.Context()))
			require.NoError(t, <-deleted)
			require.ErrorAs(t, <-submitted, new(*store.DatasetGoneError))
			require.Zero(t, d.Count(`select (select count(*) from tunes) + (select count(*) from backtest_runs)`))
		})
	}
}

// A tune whose shards are saved while it is deleted: whichever comes first, its rows go and no job is left to run.
func TestDeletingATuneWhileItsShardsEnd(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	for round := range 20 {
		d.Alone(2)
		tune, plan := d.Tune(fmt.Sprint(round))
		require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: storetest.TwoShards()}))
		first, second := d.Claim(d.ShardJob(tune.ID, 0), "w"), d.Claim(d.ShardJob(tune.ID, 1), "w")
		ends := make(chan error, 2)
		for _, shard := range []store.Lease{first, second} {
			go func() {
				ends <- d.Store.Tuning.FinishShard(ctx, shard, tune.ID, tuning.ShardDone{Completed: 2, Columns: []byte{1}})
			}()
		}
		made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Tune, tune.ID))
		require.NoError(t, err)
		for range 2 {
			err := <-ends
			require.True(t, err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrFenced), "%v", err)
		}
		work(d, made.ID)
		require.Zero(t, rowsOf(d))
		require.Zero(t, d.Count(`select count(*) from river_job where args ->> 'tune_id' = $1 and state in ('available', 'pending', 'retryable', 'scheduled')`, tune.ID.String()))
	}
}

func TestTwoDeletionsOfOneTuneAreOne(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	tune, _ := d.Tune("1")
	const callers = 4
	ids, errs := make(chan uuid.UUID, callers), make(chan error, callers)
	for range callers {
		go func() {
			made, err := d.Store.Lifecycle.Delete(t.Context(), d.Space.ID, cascade(lifecycle.Tune, tune.ID))
			if errs <- err; err == nil {
				ids <- made.ID
			}
		}()
	}
	for range callers {
		require.NoError(t, <-errs)
	}
	first := <-ids
	for range callers - 1 {
		require.Equal(t, first, <-ids)
	}
	require.Equal(t, 1, d.Count(`select count(*) from deletions`))
}

// An attempt that ends in the middle leaves what it did, and the next one does the rest; the first may write no more.
func TestADeletionContinuesWhereAnAttemptEnded(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	require.NoError(t, d.Store.Tuning.Complete(ctx, d.ToCollect(tune.ID), tune.ID, storetest.OutcomeOf(5)))
	d.Exec(`insert into tune_shards (tune_id, shard, workspace_id, first_trial, n_trials, start_cursor, done)
		select $1, n, $2, n, 1, n, true from generate_series(10, 1700) n`, tune.ID, d.Space.ID)
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	lost := lease(d, made.ID)
	done, err := d.Store.Lifecycle.Step(ctx, lost, made.ID)
	require.NoError(t, err)
	require.False(t, done)
	left := d.Count(`select count(*) from tune_shards where tune_id = $1`, tune.ID)
	require.Positive(t, left)
	require.Less(t, left, 1692)
	require.Equal(t, 200, int(d.Count(`select rows_deleted from deletions where id = $1`, made.ID)))

	d.Exec(`update river_job set state = 'available' where id = $1`, lost.JobID) // its worker was killed
	require.Greater(t, work(d, made.ID), 7, "in transactions of at most 200 rows")
	require.Zero(t, rowsOf(d))
	_, err = d.Store.Lifecycle.Step(ctx, lost, made.ID)
	require.ErrorIs(t, err, store.ErrFenced, "the first attempt comes back")
}

func TestAFailedDeletionIsTakenUpByAnother(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("1")
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	require.NoError(t, d.Store.Lifecycle.Fail(ctx, lease(d, made.ID), made.ID, "the disk is full"))
	failed, err := d.Store.Lifecycle.Failed(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, failed)
	_, err = d.Store.Tuning.Get(ctx, d.Space.ID, tune.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "it stays hidden")
	again, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Tune, tune.ID))
	require.NoError(t, err)
	require.Equal(t, made.ID, again.ID)
	require.Equal(t, "queued", again.Status)
	work(d, made.ID)
	require.Zero(t, rowsOf(d))
}
