package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
)

// lockable reports whether another transaction can take the lock of an entity at once.
func lockable(d *storetest.Fixture, entity uuid.UUID) bool {
	d.T.Helper()
	err := d.Store.InWorkspace(d.T.Context(), d.Space.ID, func(tx *store.Tx) error {
		_, err := tx.Exec(d.T.Context(), `set local lock_timeout = '1ms'`)
		require.NoError(d.T, err)
		return store.Lock(d.T.Context(), tx, entity)
	})
	if store.SQLState(err) != store.LockNotAvailable {
		require.NoError(d.T, err)
	}
	return err == nil
}

func TestEveryEntityHasALockAndFoldsShareTheirWalkForwards(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, _ := d.Tune("tune")
	wfo, folds := d.WalkForward("wfo", 2, false)
	anything := uuid.New() // a re-embedding, or whatever else has an id
	ingestion := d.Ingest("ingestion").ID
	for _, c := range []struct {
		name           string
		locked, waiter uuid.UUID
		free           uuid.UUID
	}{
		{"tune", tune.ID, tune.ID, wfo.ID},
		{"walk-forward", wfo.ID, wfo.ID, tune.ID},
		{"fold and its walk-forward", *folds[0].TuneID, wfo.ID, *folds[0].TuneID},
		{"two folds of one walk-forward", *folds[0].TuneID, *folds[1].TuneID, tune.ID},
		{"ingestion", ingestion, ingestion, tune.ID},
		{"entity that is in no table", anything, anything, ingestion},
	} {
		err := d.Store.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
			require.NoError(t, store.Lock(ctx, tx, c.locked), c.name)
			require.False(t, lockable(d, c.waiter), "%s: two transactions hold the lock", c.name)
			if c.free != c.locked {
				require.True(t, lockable(d, c.free), "%s: the lock of another entity is taken", c.name)
			}
			return nil
		})
		require.NoError(t, err)
		require.True(t, lockable(d, c.waiter), "%s: the lock outlives its transaction", c.name)
	}
}

func TestAfterCommitRunsOnlyAfterACommit(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	var ran []string
	fail := context.Canceled
	err := d.Store.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
		tx.AfterCommit(func() { ran = append(ran, "rolled back") })
		return fail
	})
	require.ErrorIs(t, err, fail)
	err = d.Store.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
		tx.AfterCommit(func() { ran = append(ran, "first") })
		tx.AfterCommit(func() { ran = append(ran, "second") })
		require.Empty(t, ran, "it ran before the commit")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second"}, ran)
}

// The server ends the session of a process that freezes under an entity's lock sooner than others, and the
// save is made again at no cost to the job.
func TestAHolderThatFreezesIsEndedAndSavesAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	tune, plan := d.Tune("k")
	lease := d.Claim(plan, "w")
	lease.Complete = nil
	var limit string
	frozen := func(tx *store.Tx) error {
		var pid int
		if err := tx.QueryRow(ctx, `select pg_backend_pid(), current_setting('idle_in_transaction_session_timeout')`).Scan(&pid, &limit); err != nil {
			return err
		}
		require.Eventually(t, func() bool {
			return d.Count(`select count(*) from pg_stat_activity where pid = $1`, pid) == 0
		}, 20*time.Second, 10*time.Millisecond, "the frozen session is not ended")
		return nil
	}
	err := d.Store.CompleteUnderLease(ctx, lease, tune.ID, frozen)
	require.Equal(t, "700ms", limit)
	require.True(t, store.Transient(err), "%v", err)
	require.Equal(t, "running", d.JobState(plan))
	require.True(t, lockable(d, tune.ID))
	require.NoError(t, d.Store.CompleteUnderLease(ctx, lease, tune.ID, func(*store.Tx) error { return nil }))
	require.Equal(t, "completed", d.JobState(plan))
	require.ErrorIs(t, d.Store.ContinueUnderLease(ctx, lease, tune.ID, func(*store.Tx) error { return nil }), store.ErrFenced)
}
