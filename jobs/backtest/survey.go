package backtest

import (
	"cmp"
	"slices"
	"time"
)

// Survey is when a series has bars and when it has none, in UTC.
type Survey struct {
	Weekdays []WeekdayBars // Monday first, without days that have none
	Longest  []Pause       // times without a bar, the longest first
}

// WeekdayBars is a day of the week: on how many dates there are bars, how many they are, and at which time of the day the first
// and the last one usually is (the median).
type WeekdayBars struct {
	Day         time.Weekday
	Dates, Bars int
	First, Last time.Duration // since midnight
}

// Pause is a time without a bar, from one bar to the next.
type Pause struct{ From, To time.Time }

// Length is how long the pause is.
func (p Pause) Length() time.Duration { return p.To.Sub(p.From) }

// Survey looks at every bar, and lists so many pauses at most: the longest, of equal ones the earlier.
func (b *Bars) Survey(pauses int) Survey {
	type day struct{ first, last []int64 }
	var days [7]day
	var counts [7]int
	var longest []int // bars that a pause begins after
	byLength := func(i, j int) int {
		return cmp.Or(cmp.Compare(b.Time[j+1]-b.Time[j], b.Time[i+1]-b.Time[i]), cmp.Compare(i, j))
	}
	for i, at := range b.Time {
		date := floorDay(at)
		d := weekday(at)
		counts[d]++
		if i == 0 || floorDay(b.Time[i-1]) != date {
			days[d].first = append(days[d].first, at-date*microsPerDay)
		}
		if i+1 == len(b.Time) {
			days[d].last = append(days[d].last, at-date*microsPerDay)
			continue
		}
		if floorDay(b.Time[i+1]) != date {
			days[d].last = append(days[d].last, at-date*microsPerDay)
		}
		if len(longest) < pauses || byLength(i, longest[len(longest)-1]) < 0 {
			place, _ := slices.BinarySearchFunc(longest, i, byLength)
			longest = slices.Insert(longest, place, i)
			longest = longest[:min(len(longest), pauses)]
		}
	}
	var s Survey
	for n := range 7 {
		d := time.Weekday((n + 1) % 7)
		if counts[d] > 0 {
			s.Weekdays = append(s.Weekdays, WeekdayBars{d, len(days[d].first), counts[d], usual(days[d].first), usual(days[d].last)})
		}
	}
	for _, i := range longest {
		s.Longest = append(s.Longest, Pause{time.UnixMicro(b.Time[i]).UTC(), time.UnixMicro(b.Time[i+1]).UTC()})
	}
	return s
}

// usual is the lower median.
func usual(micros []int64) time.Duration {
	slices.Sort(micros)
	return time.Duration(micros[(len(micros)-1)/2]) * time.Microsecond
}
