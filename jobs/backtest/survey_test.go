package backtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

// barsAt are bars of price 1 at those times.
func barsAt(t require.TestingT, times []time.Time) *backtest.Bars {
	at, one := make([]int64, len(times)), make([]float64, len(times))
	for i, time := range times {
		at[i], one[i] = time.UnixMicro(), 1
	}
	bars, err := backtest.NewBars(at, one, one, one, one, one)
	require.NoError(t, err)
	return bars
}

func TestASurveyNamesSessionsAndTheLongestPauses(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	var times []time.Time
	for day := range 12 {
		at := monday.AddDate(0, 0, day)
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday || day == 8 {
			continue
		}
		for bar := range 4 {
			if day == 2 && bar == 0 { // one late beginning does not move what is usual
				continue
			}
			times = append(times, at.Add(14*time.Hour+time.Duration(bar)*30*time.Minute))
		}
	}
	s := barsAt(t, times).Survey(2)
	require.Equal(t, []backtest.WeekdayBars{
		{Day: time.Monday, Dates: 2, Bars: 8, First: 14 * time.Hour, Last: 15*time.Hour + 30*time.Minute},
		{Day: time.Tuesday, Dates: 1, Bars: 4, First: 14 * time.Hour, Last: 15*time.Hour + 30*time.Minute},
		{Day: time.Wednesday, Dates: 2, Bars: 7, First: 14 * time.Hour, Last: 15*time.Hour + 30*time.Minute},
		{Day: time.Thursday, Dates: 2, Bars: 8, First: 14 * time.Hour, Last: 15*time.Hour + 30*time.Minute},
		{Day: time.Friday, Dates: 2, Bars: 8, First: 14 * time.Hour, Last: 15*time.Hour + 30*time.Minute},
	}, s.Weekdays)
	require.Equal(t, []backtest.Pause{
		{From: monday.AddDate(0, 0, 4).Add(15*time.Hour + 30*time.Minute), To: monday.AddDate(0, 0, 7).Add(14 * time.Hour)},
		{From: monday.AddDate(0, 0, 7).Add(15*time.Hour + 30*time.Minute), To: monday.AddDate(0, 0, 9).Add(14 * time.Hour)},
	}, s.Longest)
	require.Equal(t, 46*time.Hour+30*time.Minute, s.Longest[1].Length())
}

func TestASurveyOfOneBarHasNoPause(t *testing.T) {
	t.Parallel()
	s := barsAt(t, []time.Time{time.Date(1969, 12, 28, 23, 0, 0, 0, time.UTC)}).Survey(10)
	require.Empty(t, s.Longest)
	require.Equal(t, []backtest.WeekdayBars{{Day: time.Sunday, Dates: 1, Bars: 1, First: 23 * time.Hour, Last: 23 * time.Hour}}, s.Weekdays)
}

// Whatever the times are, every bar is counted once and the pauses are those that sorting finds.
func TestASurveyCountsEveryBarAndFindsTheLongestPauses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(1969, 12, 1, 0, 0, 0, 0, time.UTC)
		var times []time.Time
		for _, hours := range rapid.SliceOfN(rapid.IntRange(1, 60), 1, 80).Draw(t, "hours") {
			at = at.Add(time.Duration(hours) * time.Hour)
			times = append(times, at)
		}
		most := rapid.IntRange(1, 12).Draw(t, "most")
		s := barsAt(t, times).Survey(most)
		bars, dates := 0, map[string]bool{}
		for _, at := range times {
			dates[at.Format(time.DateOnly)] = true
		}
		for _, d := range s.Weekdays {
			bars += d.Bars
			require.LessOrEqual(t, d.First, d.Last)
		}
		counted := 0
		for _, d := range s.Weekdays {
			counted += d.Dates
		}
		require.Equal(t, len(times), bars)
		require.Equal(t, len(dates), counted)
		require.Len(t, s.Longest, min(most, len(times)-1))
		shortest := time.Duration(1<<63 - 1)
		for _, p := range s.Longest {
			require.LessOrEqual(t, p.Length(), shortest, "the longest come first")
			shortest = p.Length()
		}
		longer := 0
		for i := 1; i < len(times); i++ {
			if times[i].Sub(times[i-1]) > shortest {
				longer++
			}
		}
		require.Less(t, longer, max(1, len(s.Longest)), "a longer pause is not listed")
	})
}
