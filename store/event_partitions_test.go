package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/eventlog"
)

// logged appends an event of the workspace at the time given, in a transaction of its own, and
// returns its cursor.
func (d *fixture) logged(at time.Time) eventlog.Cursor {
	d.t.Helper()
	bounds, err := d.store.EventLog.Bounds(d.t.Context())
	require.NoError(d.t, err)
	c := eventlog.Cursor{Epoch: bounds.Floor.Epoch}
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `
		insert into event_log (workspace_id, topic, type, entity_id, at) values ($1, 'backtests', 'test', 'e', $2)
		returning xid, id`, d.space.ID, at).Scan(&c.XID, &c.ID))
	return c
}

// waitForReaders waits for every transaction that is open on the server, in whatever database.
func (d *fixture) waitForReaders() {
	d.t.Helper()
	var now uint64
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `select pg_current_xact_id()`).Scan(&now))
	require.Eventually(d.t, func() bool {
		var oldest uint64
		err := d.owner.QueryRow(d.t.Context(), `select pg_snapshot_xmin(pg_current_snapshot())`).Scan(&oldest)
		return err == nil && oldest > now
	}, time.Minute, 2*time.Millisecond)
}

func (d *fixture) scope() eventlog.Scope {
	return eventlog.Scope{Workspace: uuid.NullUUID{UUID: d.space.ID, Valid: true}}
}

// day makes the partition of a UTC day.
func (d *fixture) day(name, from, to string) {
	d.t.Helper()
	_, err := d.owner.Exec(d.t.Context(), `create table `+name+` (like event_log including defaults);
		alter table event_log attach partition `+name+` for values from ('`+from+`') to ('`+to+`')`)
	require.NoError(d.t, err)
}

func TestDroppingDaysOfTheLogRaisesItsFloor(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	d.day("event_log_20240501", "2024-05-01 00:00+00", "2024-05-02 00:00+00")
	d.day("event_log_20240502", "2024-05-02 00:00+00", "2024-05-03 00:00+00")
	first := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	astray := d.logged(first.AddDate(0, -1, 0)) // no partition: in the default one
	oldest := d.logged(first)
	newer := d.logged(first)
	kept := d.logged(first.AddDate(0, 0, 1))
	now := d.logged(time.Now())
	d.waitForReaders()

	cutoff := time.Date(2024, 5, 2, 23, 59, 59, 0, time.UTC) // within the second day: it stays
	want := []eventlog.Partition{{Name: "event_log_20240501", Events: 2}, {Name: "event_log_default", Events: 1}}
	expired, err := d.store.EventLog.Expired(ctx, cutoff)
	require.NoError(t, err)
	require.Equal(t, want, expired)
	found, err := d.store.EventLog.Events(ctx, d.scope(), astray, 10)
	require.NoError(t, err)
	require.Len(t, found, 4, "a list drops nothing")

	dropped, err := d.store.EventLog.DropExpired(ctx, cutoff)
	require.NoError(t, err)
	require.Equal(t, want, dropped)
	for _, gone := range []eventlog.Cursor{{Epoch: now.Epoch}, astray, oldest, newer} {
		_, err = d.store.EventLog.Events(ctx, d.scope(), gone, 10)
		require.ErrorIs(t, err, eventlog.ErrCursorGone, "%+v", gone)
	}
	found, err = d.store.EventLog.Events(ctx, d.scope(), kept, 10)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, now, found[0].Cursor)
	bounds, err := d.store.EventLog.Bounds(ctx)
	require.NoError(t, err)
	found, err = d.store.EventLog.Events(ctx, d.scope(), bounds.Floor, 10)
	require.NoError(t, err)
	require.Equal(t, kept, found[0].Cursor, "the floor is a place to begin from")

	dropped, err = d.store.EventLog.DropExpired(ctx, time.Now().AddDate(1, 0, 0))
	require.NoError(t, err)
	require.Equal(t, []eventlog.Partition{{Name: "event_log_20240502", Events: 1}}, dropped, "today and the days to come stay")
}

// A running writer keeps the partition's lock; dropping waits for it without making the
// writers behind it wait for long.
func TestDroppingADayYieldsToWriters(t *testing.T) {
	d := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d.day("event_log_20240501", "2024-05-01 00:00+00", "2024-05-02 00:00+00")
	tx := d.open(`insert into event_log (topic, type, entity_id) values ('jobs', 'test', 'e')`)
	done := make(chan error, 1)
	go func() {
		_, err := d.store.EventLog.DropExpired(ctx, time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC))
		done <- err
	}()
	var waiting bool
	require.Eventually(t, func() bool {
		err := d.owner.QueryRow(ctx, `select exists (select from pg_locks where relation = 'event_log'::regclass and not granted)`).Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, time.Millisecond)
	start := time.Now()
	d.logged(time.Now())
	require.Less(t, time.Since(start), 2*time.Second, "a writer waited for a lock that is not had")
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, <-done)
	var left int
	require.NoError(t, d.owner.QueryRow(ctx, `select count(*) from pg_class where relname = 'event_log_20240501'`).Scan(&left))
	require.Zero(t, left)
}

func TestPartitionsAreMadeAhead(t *testing.T) {
	d := newFixture(t)
	made, err := d.store.EventLog.Roll(t.Context(), 3)
	require.NoError(t, err)
	require.Zero(t, made, "the migration made them")
	made, err = d.store.EventLog.Roll(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, 2, made)
	d.logged(time.Now().AddDate(0, 0, 5))
	d.logged(time.Now().AddDate(0, 0, 6))
	rows, err := d.owner.Query(t.Context(), `
		select (select relname from pg_class where oid = l.tableoid) from event_log l order by at desc limit 2`)
	require.NoError(t, err)
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, "event_log_default", parts[0], "a day without a partition loses nothing")
	require.Equal(t, "event_log_"+time.Now().UTC().AddDate(0, 0, 5).Format("20060102"), parts[1])
}
