package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/workers"
)

func TestTheClockFollowsTheDatabaseOnAMachineThatIsHoursOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-2 * time.Hour, 0, 2 * time.Hour} {
		machine := time.Now().Add(off)
		clock := store.ClockOf(func() time.Time { return machine })
		require.WithinDuration(t, machine, clock.Now(), 0, "before the database is asked")
		database := machine.Add(-off).Round(0)
		clock.Set(database, machine, machine.Add(20*time.Millisecond))
		require.WithinDuration(t, database.Add(-10*time.Millisecond), clock.Now(), 0)
		machine = machine.Add(time.Minute)
		require.WithinDuration(t, database.Add(time.Minute-10*time.Millisecond), clock.Now(), 0)
		require.InDelta(t, off.Seconds(), clock.Ahead().Seconds(), 0.1)
	}
}

func TestAHeartbeatReportsTheSkewAndSetsTheClock(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Store.Clock().SetMachine(func() time.Time { return time.Now().Add(2 * time.Hour) })
	_, err := d.Store.Workers.Beat(t.Context(), workers.Worker{ID: "w", Queues: map[string]int{"trials": 1}}, nil, nil)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), d.Store.Clock().Now(), time.Second)
	state, err := d.Store.Workers.State(t.Context())
	require.NoError(t, err)
	require.Len(t, state.Clocks, 1)
	require.InDelta(t, 7200, state.Clocks[0].Ahead.Seconds(), 2)
	require.InDelta(t, 7200, d.Store.Clock().Ahead().Seconds(), 2)
}

// River's driver would fill in the machine's time.
func TestTheDatabaseSaysWhenAJobWasInserted(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	err := d.Store.InWorkspace(t.Context(), d.Space.ID, func(tx *store.Tx) error {
		inserted, err := d.Store.River().InsertTx(t.Context(), tx, jobs.TunePlanArgs{WorkspaceID: d.Space.ID}, nil)
		require.NoError(t, err)
		var byDatabase bool
		err = tx.QueryRow(t.Context(), `select created_at = now() and scheduled_at = now() from river_job where id = $1`, inserted.Job.ID).Scan(&byDatabase)
		require.True(t, byDatabase, "created %s, scheduled %s", inserted.Job.CreatedAt, inserted.Job.ScheduledAt)
		return err
	})
	require.NoError(t, err)
}
