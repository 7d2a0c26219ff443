package eventlog_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/eventlog"
	"millrace/store/storetest"
)

// logged appends an event of the workspace at the time given, in a transaction of its own, and
// returns its cursor.
func logged(d *storetest.Fixture, at time.Time) eventlog.Cursor {
	d.T.Helper()
	bounds, err := d.Store.EventLog.Bounds(d.T.Context())
	require.NoError(d.T, err)
	c := eventlog.Cursor{Epoch: bounds.Floor.Epoch}
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `
		insert into event_log (workspace_id, topic, type, entity_id, at) values ($1, 'backtests', 'test', 'e', $2)
		returning xid, id`, d.Space.ID, at).Scan(&c.XID, &c.ID))
	return c
}

func scope(d *storetest.Fixture) eventlog.Scope {
	return eventlog.Scope{Workspace: uuid.NullUUID{UUID: d.Space.ID, Valid: true}}
}

// day makes the partition of a UTC day.
func day(d *storetest.Fixture, name, from, to string) {
	d.T.Helper()
	_, err := d.Owner.Exec(d.T.Context(), `create table `+name+` (like event_log including defaults);
		alter table event_log attach partition `+name+` for values from ('`+from+`') to ('`+to+`')`)
	require.NoError(d.T, err)
}

func TestDroppingDaysOfTheLogRaisesItsFloor(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	day(d, "event_log_20240501", "2024-05-01 00:00+00", "2024-05-02 00:00+00")
	day(d, "event_log_20240502", "2024-05-02 00:00+00", "2024-05-03 00:00+00")
	first := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	astray := logged(d, first.AddDate(0, -1, 0)) // no partition: in the default one
	oldest := logged(d, first)
	newer := logged(d, first)
	kept := logged(d, first.AddDate(0, 0, 1))
	now := logged(d, time.Now())
	d.AwaitReaders()

	cutoff := time.Date(2024, 5, 2, 23, 59, 59, 0, time.UTC) // within the second day: it stays
	want := []eventlog.Partition{{Name: "event_log_20240501", Events: 2}, {Name: "event_log_default", Events: 1}}
	expired, err := d.Store.EventLog.Expired(ctx, cutoff)
	require.NoError(t, err)
	require.Equal(t, want, expired)
	found, err := d.Store.EventLog.Events(ctx, scope(d), astray, 10)
	require.NoError(t, err)
	require.Len(t, found, 4, "a list drops nothing")

	dropped, err := d.Store.EventLog.DropExpired(ctx, cutoff)
	require.NoError(t, err)
	require.Equal(t, want, dropped)
	for _, gone := range []eventlog.Cursor{{Epoch: now.Epoch}, astray, oldest, newer} {
		_, err = d.Store.EventLog.Events(ctx, scope(d), gone, 10)
		require.ErrorIs(t, err, eventlog.ErrCursorGone, "%+v", gone)
	}
	found, err = d.Store.EventLog.Events(ctx, scope(d), kept, 10)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, now, found[0].Cursor)
	bounds, err := d.Store.EventLog.Bounds(ctx)
	require.NoError(t, err)
	found, err = d.Store.EventLog.Events(ctx, scope(d), bounds.Floor, 10)
	require.NoError(t, err)
	require.Equal(t, kept, found[0].Cursor, "the floor is a place to begin from")

	dropped, err = d.Store.EventLog.DropExpired(ctx, time.Now().AddDate(1, 0, 0))
	require.NoError(t, err)
	require.Equal(t, eventlog.Partition{Name: "event_log_20240502", Events: 1}, dropped[0])
	for _, p := range dropped[1:] { // the day on which the database was made, if it has ended since
		require.Equal(t, eventlog.Partition{Name: "event_log_" + time.Now().UTC().AddDate(0, 0, -1).Format("20060102")}, p, "today and the days to come stay")
	}
}

// A running writer keeps the partition's lock; dropping waits for it without making the
// writers behind it wait for long.
func TestDroppingADayYieldsToWriters(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	day(d, "event_log_20240501", "2024-05-01 00:00+00", "2024-05-02 00:00+00")
	tx := d.Open(`insert into event_log (topic, type, entity_id) values ('jobs', 'test', 'e')`)
	done := make(chan error, 1)
	go func() {
		_, err := d.Store.EventLog.DropExpired(ctx, time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC))
		done <- err
	}()
	var waiting bool
	require.Eventually(t, func() bool {
		err := d.Owner.QueryRow(ctx, `select exists (select from pg_locks where relation = 'event_log'::regclass and not granted)`).Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, time.Millisecond)
	start := time.Now()
	logged(d, time.Now())
	require.Less(t, time.Since(start), 2*time.Second, "a writer waited for a lock that is not had")
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, <-done)
	var left int
	require.NoError(t, d.Owner.QueryRow(ctx, `select count(*) from pg_class where relname = 'event_log_20240501'`).Scan(&left))
	require.Zero(t, left)
}

func TestPartitionsAreMadeAhead(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	made, err := d.Store.EventLog.Roll(t.Context(), 3)
	require.NoError(t, err)
	require.LessOrEqual(t, made, 1, "the migration made them, but for one where another day has begun since")
	made, err = d.Store.EventLog.Roll(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, 2, made)
	logged(d, time.Now().AddDate(0, 0, 5))
	logged(d, time.Now().AddDate(0, 0, 6))
	rows, err := d.Owner.Query(t.Context(), `
		select (select relname from pg_class where oid = l.tableoid) from event_log l order by at desc limit 2`)
	require.NoError(t, err)
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, "event_log_default", parts[0], "a day without a partition loses nothing")
	require.Equal(t, "event_log_"+time.Now().UTC().AddDate(0, 0, 5).Format("20060102"), parts[1])
}
