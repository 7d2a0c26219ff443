package calendar

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

func slots(t *testing.T, line, zoneName, from, to string) (all []string) {
	t.Helper()
	loc := zone(t, zoneName)
	l, err := Parse(line, loc)
	require.NoError(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04", from, loc)
	require.NoError(t, err)
	end, err := time.ParseInLocation("2006-01-02 15:04", to, loc)
	require.NoError(t, err)
	for at = l.Next(at); at.Before(end); at = l.Next(at) {
		all = append(all, at.In(loc).Format("01-02 15:04 MST"))
	}
	return all
}

func TestSlotsOverClockChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line, zone, from, to string
		want                       []string
	}{
		{
			"time that does not exist", "30 2 * * *", "America/New_York", "2025-03-08 00:00", "2025-03-11 00:00",
			[]string{"03-08 02:30 EST", "03-09 03:00 EDT", "03-10 02:30 EDT"},
		},
		{
			"several that do not exist are one", "*/20 2,3 * * *", "America/New_York", "2025-03-09 00:00", "2025-03-10 00:00",
			[]string{"03-09 03:00 EDT", "03-09 03:20 EDT", "03-09 03:40 EDT"},
		},
		{
			"time that exists twice", "30 1 * * *", "America/New_York", "2025-11-01 00:00", "2025-11-04 00:00",
			[]string{"11-01 01:30 EDT", "11-02 01:30 EDT", "11-03 01:30 EST"},
		},
		{
			"every hour forward", "15 * * * *", "Europe/Berlin", "2025-03-30 01:00", "2025-03-30 05:00",
			[]string{"03-30 01:15 CET", "03-30 03:15 CEST", "03-30 04:15 CEST"},
		},
		{
			"every hour back", "15 * * * *", "Europe/Berlin", "2025-10-26 01:30", "2025-10-26 04:00",
			[]string{"10-26 02:15 CEST", "10-26 02:15 CET", "10-26 03:15 CET"},
		},
		{
			"midnight that does not exist", "0 0 * * *", "America/Santiago", "2025-09-06 12:00", "2025-09-08 12:00",
			[]string{"09-07 01:00 -03", "09-08 00:00 -03"},
		},
		{
			"a day that does not exist", "0 12 * * *", "Pacific/Apia", "2011-12-29 00:00", "2011-12-31 23:00",
			[]string{"12-29 12:00 -10", "12-31 00:00 +14", "12-31 12:00 +14"},
		},
		{
			"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2025-10-04 00:00", "2025-10-06 12:00",
			[]string{"10-04 02:15 +1030", "10-05 02:30 +11", "10-06 02:15 +11"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, slots(t, c.line, c.zone, c.from, c.to))
		})
	}
}

// TestDailyLineFiresOnceOnEachDay goes over every change of clocks of two years in zones with unlike rules.
func TestDailyLineFiresOnceOnEachDay(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Asia/Kolkata", "Asia/Tehran", "America/Havana"} {
		loc := zone(t, name)
		for range 40 {
			line := fmt.Sprintf("%d %d * * *", random.IntN(60), random.IntN(24))
			l, err := Parse(line, loc)
			require.NoError(t, err)
			days := map[string]int{}
			from := time.Date(2024, 1, 1, 0, 0, 0, 0, loc)
			for at := l.Next(from.Add(-time.Second)); at.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, loc)); {
				days[at.In(loc).Format(time.DateOnly)]++
				next := l.Next(at)
				require.True(t, next.After(at), "%s in %s goes back after %s", line, name, at)
				at = next
			}
			for day := time.Date(2024, 1, 1, 12, 0, 0, 0, loc); day.Year() < 2026; day = day.AddDate(0, 0, 1) {
				require.Equal(t, 1, days[day.Format(time.DateOnly)], "%s in %s on %s", line, name, day.Format(time.DateOnly))
			}
		}
	}
}

func TestLinesThatAreRefused(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"":                 "is empty",
		"0 0 30 2 *":       "never fires",
		"* * * * * *":      "at most once a minute",
		"@every 1s":        "at most once a minute",
		"TZ=UTC * * * * *": "time zone",
		"61 * * * *":       "is not a cron line",
		"@reboot":          "is not a cron line",
		"* * * *":          "is not a cron line",
	} {
		_, err := Parse(line, time.UTC)
		require.ErrorContains(t, err, says, "%q", line)
	}
	for _, line := range []string{"0 0 29 2 *", "@daily", "@hourly", "* * * * *", "*/5 9-17 * * MON-FRI"} {
		_, err := Parse(line, time.UTC)
		require.NoError(t, err, "%q", line)
	}
}

func TestMissedSlotsByPolicy(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		parsed, err := time.Parse("2006-01-02 15:04", text)
		require.NoError(t, err)
		return parsed
	}
	daily, err := Parse("0 6 * * *", time.UTC)
	require.NoError(t, err)
	next := at("2025-01-01 06:00")
	require.Equal(t, Due{Next: next}, daily.Between(next, at("2025-01-01 05:59"), Skip), "before its time nothing is due")
	for policy, fires := range map[Policy]int{Skip: 1, Once: 1, All: 1} {
		due := daily.Between(next, at("2025-01-01 06:01"), policy)
		require.Len(t, due.Fire, fires, policy)
		require.Zero(t, due.Skipped)
		require.Equal(t, at("2025-01-02 06:00"), due.Next)
	}
	late := at("2025-01-04 09:00") // four slots, the newest three hours old
	due := daily.Between(next, late, Skip)
	require.Empty(t, due.Fire)
	require.Equal(t, []any{4, next, at("2025-01-04 06:00")}, []any{due.Skipped, due.First, due.Last})
	due = daily.Between(next, late, Once)
	require.Equal(t, []time.Time{at("2025-01-04 06:00")}, due.Fire)
	require.Equal(t, 3, due.Skipped)
	due = daily.Between(next, late, All)
	require.Len(t, due.Fire, 4)
	require.Zero(t, due.Skipped)
	due = daily.Between(next, at("2025-12-31 09:00"), All)
	require.Len(t, due.Fire, MostMadeUp)
	require.Equal(t, 365-MostMadeUp, due.Skipped)
	require.Equal(t, at("2026-01-01 06:00"), due.Next)

	minutes, err := Parse("* * * * *", time.UTC)
	require.NoError(t, err)
	due = minutes.Between(next, at("2035-01-01 06:00"), Once)
	require.Equal(t, []time.Time{at("2035-01-01 06:00")}, due.Fire, "ten years of minutes")
	require.GreaterOrEqual(t, due.Skipped, mostWalked)
}
