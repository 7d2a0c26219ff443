package schedules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/calendar"
	"millrace/store/schedules"
)

// A slot is fired some seconds after its time. A change in between that is not of the times leaves it.
func TestChangeThatIsNotOfTheTimesLosesNoSlot(t *testing.T) {
	t.Parallel()
	name, all, running, same, zone := "renamed", calendar.All, false, "0 6 * * *", "UTC"
	for what, change := range map[string]schedules.Change{
		"another name": {Name: &name}, "another policy": {Missed: &all}, "resumed though not paused": {Paused: &running}, "the same times": {Cron: &same, TimeZone: &zone},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t, "2025-01-01T05:59:00Z")
			made := d.made(schedules.Schedule{Name: "nightly", Cron: same})
			d.setClock("2025-01-01T06:00:01Z")
			changed, err := d.schedules.Change(t.Context(), d.Space.ID, made.ID, change)
			require.NoError(t, err)
			require.Equal(t, at(t, "2025-01-01T06:00:00Z"), changed.NextAt.UTC())
			require.Equal(t, "scheduled", d.JobState(*made.JobID))
			require.Equal(t, 1, d.fire(made.ID))
		})
	}
}

func TestSlotsThatPassedBeforeAChangeOfTheTimesAreInTheHistory(t *testing.T) {
	t.Parallel()
	cron, zone, paused := "0 7 * * *", "Asia/Tokyo", true
	for what, change := range map[string]schedules.Change{"cron": {Cron: &cron}, "zone": {TimeZone: &zone}, "paused": {Paused: &paused}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t, "2025-01-01T05:59:00Z")
			made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *", Missed: calendar.Skip})
			d.setClock("2025-01-03T06:00:01Z")
			changed, err := d.schedules.Change(t.Context(), d.Space.ID, made.ID, change)
			require.NoError(t, err)
			require.True(t, changed.NextAt == nil || changed.NextAt.After(at(t, "2025-01-03T06:00:01Z")))
			require.Equal(t, "cancelled", d.JobState(*made.JobID))
			slots := d.slots(made.ID)
			require.Len(t, slots, 1)
			require.Equal(t, schedules.Skipped, slots[0].State)
			require.Equal(t, 3, slots[0].Slots)
			require.Equal(t, at(t, "2025-01-01T06:00:00Z"), slots[0].FirstAt.UTC())
			require.Equal(t, at(t, "2025-01-03T06:00:00Z"), slots[0].SlotAt.UTC())
			require.Contains(t, *slots[0].Reason, "changed or paused")
			trouble, err := d.schedules.Troubled(t.Context(), 5)
			require.NoError(t, err)
			require.Zero(t, trouble.Missed, "what a user passed over is reported as missed")
		})
	}
}

// Runs that take longer than their slots are apart do not queue up without a bound.
func TestSlotsBeyondTheMostOpenRunsAreSkipped(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T00:00:30Z")
	made := d.made(schedules.Schedule{Name: "minutely", Cron: "* * * * *", Missed: calendar.All})
	now := at(t, "2025-01-01T00:00:01Z")
	for range 2 { // 60 slots each time
		now = now.Add(time.Hour)
		d.setClock(now)
		d.fire(made.ID)
	}
	open, skipped := 0, 0
	for _, slot := range d.slots(made.ID) {
		switch slot.State {
		case schedules.Due:
			open++
		case schedules.Skipped:
			skipped++
			require.Contains(t, *slot.Reason, "were waiting or running")
		}
	}
	require.Equal(t, schedules.MostOpen, open)
	require.Equal(t, 120-schedules.MostOpen, skipped)
	require.NotNil(t, d.get(made.ID).NextAt, "it continues")
}

func TestZonesThatOnlySomeMachinesHaveAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Local", "localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC", "Europe/Nowhere"} {
		_, err := schedules.Zone(name)
		require.Error(t, err, name)
	}
	for _, name := range []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Argentina/Ushuaia", "CET"} {
		_, err := schedules.Zone(name)
		require.NoError(t, err, name)
	}
}
