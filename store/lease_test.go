package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/tuning"
)

// lockable reports whether another transaction can take the lock of an entity at once.
func (d *fixture) lockable(entity uuid.UUID) bool {
	d.t.Helper()
	err := d.store.InWorkspace(d.t.Context(), d.space.ID, func(tx *store.Tx) error {
		_, err := tx.Exec(d.t.Context(), `set local lock_timeout = '1ms'`)
		require.NoError(d.t, err)
		return store.Lock(d.t.Context(), tx, entity)
	})
	if store.SQLState(err) != store.LockNotAvailable {
		require.NoError(d.t, err)
	}
	return err == nil
}

func TestEveryEntityHasALockAndFoldsShareTheirWalkForwards(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune, _ := d.tune("tune")
	wfo, folds := d.wfo("wfo", 2, false)
	anything := uuid.New() // a re-embedding, or whatever else has an id
	ingestion := d.ingest("ingestion").ID
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
		err := d.store.InWorkspace(ctx, d.space.ID, func(tx *store.Tx) error {
			require.NoError(t, store.Lock(ctx, tx, c.locked), c.name)
			require.False(t, d.lockable(c.waiter), "%s: two transactions hold the lock", c.name)
			if c.free != c.locked {
				require.True(t, d.lockable(c.free), "%s: the lock of another entity is taken", c.name)
			}
			return nil
		})
		require.NoError(t, err)
		require.True(t, d.lockable(c.waiter), "%s: the lock outlives its transaction", c.name)
	}
}

func TestAfterCommitRunsOnlyAfterACommit(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	var ran []string
	fail := context.Canceled
	err := d.store.InWorkspace(ctx, d.space.ID, func(tx *store.Tx) error {
		tx.AfterCommit(func() { ran = append(ran, "rolled back") })
		return fail
	})
	require.ErrorIs(t, err, fail)
	err = d.store.InWorkspace(ctx, d.space.ID, func(tx *store.Tx) error {
		tx.AfterCommit(func() { ran = append(ran, "first") })
		tx.AfterCommit(func() { ran = append(ran, "second") })
		require.Empty(t, ran, "it ran before the commit")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second"}, ran)
}

// eventTypes are the types of an entity's events, in order.
func (d *fixture) eventTypes(entity uuid.UUID) []string {
	d.t.Helper()
	rows, err := d.owner.Query(d.t.Context(), `select type from event_log where entity_id = $1 order by xid, id`, entity.String())
	require.NoError(d.t, err)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.t, err)
	return types
}

// blocked waits until another connection of the database waits for a lock.
func (d *fixture) blocked() {
	d.t.Helper()
	d.blockedBy(1)
}

// blockedBy waits until so many connections do.
func (d *fixture) blockedBy(count int) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		var waiting int
		err := d.owner.QueryRow(d.t.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting >= count
	}, 20*time.Second, 5*time.Millisecond)
}

func TestACancelThatRacesAFinishDoesNotEndAnIngestionTwice(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	in := d.ingest("k")
	lease := d.claim(in.RiverJobID, "w")
	begun, _, err := d.store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(t, err)
	canceled := make(chan error, 1)
	complete := lease.Complete
	lease.Complete = func(ctx context.Context, tx pgx.Tx) error { // within the transaction that finishes
		go func() {
			_, err := d.store.Library.CancelIngest(context.WithoutCancel(ctx), d.space.ID, in.ID)
			canceled <- err
		}()
		d.blocked()
		return complete(ctx, tx)
	}
	_, err = d.store.Library.FinishIngest(ctx, lease, in.ID, d.ingested(begun, 2, "text"))
	require.NoError(t, err)
	require.ErrorIs(t, <-canceled, store.ErrEnded, "a completed ingestion was canceled")
	now, err := d.store.Library.Ingest(ctx, d.space.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, library.IngestCompleted, now.Status)
	require.Equal(t, []string{"ingestion.job.queued", "ingestion.job.running", "ingestion.job.completed"}, d.eventTypes(in.ID))
}

// The status is a guard of its own: it holds even for a change that did not take the lock.
func TestAnIngestionThatEndedMeanwhileIsNotEndedAgain(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	in := d.ingest("k")
	lease := d.claim(in.RiverJobID, "w")
	begun, _, err := d.store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(t, err)
	made := d.ingested(begun, 2, "text")
	other := d.open(`select from documents for update`)
	finished := make(chan error, 1)
	go func() {
		_, err := d.store.Library.FinishIngest(ctx, lease, in.ID, made)
		finished <- err
	}()
	d.blocked() // it has read that the ingestion is running, and waits for the document
	_, err = other.Exec(ctx, `update ingest_jobs set status = 'canceled', completed_at = now()`)
	require.NoError(t, err)
	require.NoError(t, other.Commit(ctx))
	require.ErrorIs(t, <-finished, store.ErrEnded)
	require.NotContains(t, d.eventTypes(in.ID), "ingestion.job.completed")
}

func TestProgressReportsOfAHalfDoneTuneEstimateTheOtherHalf(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	tune, plan := d.tune("k")
	shards := []sweep.Shard{{Trials: 2, Cost: 1}, {Index: 1, First: 2, Trials: 2, Cursor: 2, Cost: 1}}
	require.NoError(t, d.store.Tuning.Begin(ctx, d.claim(plan, "w"), tune.ID, tuning.Plan{Shards: shards, Work: 4}))
	d.exec(`update tunes set started_at = clock_timestamp() - interval '1000 s'`)
	first, second := d.claim(d.shardJob(tune.ID, 0), "w"), d.claim(d.shardJob(tune.ID, 1), "w")
	require.NoError(t, d.store.Tuning.ReportShard(ctx, first, tune.ID, 0, 1))
	require.NoError(t, d.store.Tuning.ReportShard(ctx, second, tune.ID, 1, 1))
	require.NoError(t, d.store.Tuning.ReportShard(ctx, first, tune.ID, 0, 1))
	rows, err := d.owner.Query(ctx, `
		select (payload ->> 'eta_seconds')::float8 from event_log where type = 'backtest.tune.progress' order by xid, id`)
	require.NoError(t, err)
	etas, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{3000, 1000, 1000}, etas, 300, "of four trials one, two and two are done after 1000 s")
	got, err := d.store.Tuning.Get(ctx, d.space.ID, tune.ID)
	require.NoError(t, err)
	require.InDelta(t, 1000, *got.ETA(time.Now()), 300)
}
