package backtest

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"
)

// Seam is where new bars meet those that are stored.
type Seam struct {
	From, To  time.Time // of the first and the last stored bar
	LastClose float64
	Timeframe Timeframe
	AnyJump   bool // a jump of price over the seam is meant
	AnyGap    bool // as is a time without bars
}

// SeamError says why new bars do not continue the stored ones. Option is what answers it, "" when the bars
// themselves are others.
type SeamError struct {
	Option string
	Reason string
	Time   time.Time // of the bar
	Column string    // that differs; "time" where only one of both has a bar
	Stored *float64  // nil: not stored
	Sent   *float64  // nil: not sent
}

// Error implements error.
func (e *SeamError) Error() string { return e.Reason }

// The options that answer a SeamError.
const (
	OptionRewrite  = "rewrite"
	OptionJump     = "jump"
	OptionGap      = "gap"
	OptionWeekend  = "weekend"
	OptionTimeZone = "time_zone"
)

// jumpFactor is the change of price from one bar to the next from which on a split is more likely: that of
// two for one, less what a price moves in a bar.
const jumpFactor = 1.8

// Check compares what is sent with the stored bars from its first one on (nil: none are), and looks at how
// the two meet.
func (s Seam) Check(stored, sent *Bars) error {
	first := time.UnixMicro(sent.Time[0]).UTC()
	if first.Before(s.From) {
		return &SeamError{Option: OptionRewrite, Time: first, Column: "time", Reason: fmt.Sprintf(
			"the bar of %s is before the first stored one, of %s: bars are appended after the last; rewrite=true replaces all",
			stamp(first), stamp(s.From))}
	}
	overlaps := stored != nil && sent.Time[0] <= stored.Time[stored.Len()-1]
	if overlaps {
		if differs := firstDifference(stored, sent); differs != nil {
			return differs
		}
	}
	next := sort.Search(sent.Len(), func(i int) bool { return sent.Time[i] > s.To.UnixMicro() })
	if next == sent.Len() {
		return nil
	}
	return s.meets(time.UnixMicro(sent.Time[next]).UTC(), sent.Open[next], overlaps)
}

// meets looks at the first bar after the stored ones. Where bars overlap, their prices have been compared.
func (s Seam) meets(at time.Time, open float64, overlaps bool) error {
	distance, day := at.Sub(s.To), 24*time.Hour
	frame := time.Duration(s.Timeframe.Micros()) * time.Microsecond
	if distance < frame/2 {
		return &SeamError{Option: OptionTimeZone, Time: at, Column: "time", Reason: fmt.Sprintf(
			"the bar of %s is only %s after the last stored one, and bars are of %s: are the file's times of another zone?", stamp(at), distance, s.Timeframe)}
	}
	// Daylight saving moves a bar of a day by an hour.
	if off := distance % day; frame >= day && min(off, day-off) > time.Hour {
		return &SeamError{Option: OptionTimeZone, Time: at, Column: "time", Reason: fmt.Sprintf(
			"bars of %s are stored at %s UTC and sent at %s UTC: are the file's times of another zone?", s.Timeframe, s.To.Format("15:04"), at.Format("15:04"))}
	}
	if longest := max(10*frame, 30*day); !s.AnyGap && distance > longest {
		return &SeamError{Option: OptionGap, Time: at, Column: "time", Reason: fmt.Sprintf(
			"the last stored bar is of %s and the first new one of %s: %d days without a bar of %s; send those between as well, or gap=any appends them as they are",
			stamp(s.To), stamp(at), int(distance/day), s.Timeframe)}
	}
	if factor := open / s.LastClose; !s.AnyJump && !overlaps && (factor > jumpFactor || factor < 1/jumpFactor) {
		return &SeamError{Option: OptionJump, Time: at, Column: "open", Stored: &s.LastClose, Sent: &open, Reason: fmt.Sprintf(
			"the last stored close is %s and the bar of %s opens at %s, with no bar in common: after a split, send all bars with rewrite=true; jump=any appends them as they are",
			number(s.LastClose), stamp(at), number(open))}
	}
	return nil
}

// Weekends finds the first of new bars on a Saturday or Sunday where the stored ones, of which it takes the times, have
// none on that day in at least four weeks: another calendar, or times of another zone. It is for bars of a day and
// shorter; nil when there is none.
func Weekends(stored []int64, sent *Bars, frame Timeframe) error {
	const week, fewest = 7 * microsPerDay, 4
	last := len(stored) - 1
	if frame.Micros() > microsPerDay || stored[last]-stored[0] < fewest*week {
		return nil
	}
	traded := map[time.Weekday]bool{}
	for _, day := range []time.Weekday{time.Saturday, time.Sunday} {
		traded[day] = anyOn(stored, day)
	}
	for _, micros := range sent.Time {
		if day := weekday(micros); (day == time.Saturday || day == time.Sunday) && !traded[day] {
			at := time.UnixMicro(micros).UTC()
			return &SeamError{Option: OptionWeekend, Time: at, Column: "time", Reason: fmt.Sprintf(
				"the bar of %s is of a %s, and of the %d stored bars none is: is the file of another instrument, or are its times of another zone? weekend=any appends it as it is",
				stamp(at), day, len(stored))}
		}
	}
	return nil
}

// OfWeekend reports whether any bar is of a Saturday or Sunday, UTC.
func (b *Bars) OfWeekend() bool { return anyOn(b.Time, time.Saturday) || anyOn(b.Time, time.Sunday) }

func anyOn(times []int64, day time.Weekday) bool {
	return slices.ContainsFunc(times, func(micros int64) bool { return weekday(micros) == day })
}

// weekday is the day in UTC. The first day of 1970 was a Thursday.
func weekday(micros int64) time.Weekday {
	return time.Weekday(((floorDay(micros)+int64(time.Thursday))%7 + 7) % 7)
}

// firstDifference compares the bars of the times that both cover.
func firstDifference(stored, sent *Bars) *SeamError {
	until := min(stored.Time[stored.Len()-1], sent.Time[sent.Len()-1])
	i := sort.Search(stored.Len(), func(i int) bool { return stored.Time[i] >= sent.Time[0] })
	for j := 0; ; i, j = i+1, j+1 {
		hasStored, hasSent := i < stored.Len() && stored.Time[i] <= until, j < sent.Len() && sent.Time[j] <= until
		switch {
		case !hasStored && !hasSent:
			return nil
		case !hasSent || hasStored && stored.Time[i] < sent.Time[j]:
			return missing(stored.Time[i], "is stored and was not sent")
		case !hasStored || sent.Time[j] < stored.Time[i]:
			return missing(sent.Time[j], "was sent and is not stored")
		}
		if column, was, is := barDifference(stored, i, sent, j); column != "" {
			return differing(stored.Time[i], column, was, is)
		}
	}
}

func barDifference(stored *Bars, i int, sent *Bars, j int) (column string, was, is float64) {
	for _, c := range []struct {
		name         string
		stored, sent float64
	}{
		{"open", stored.Open[i], sent.Open[j]}, {"high", stored.High[i], sent.High[j]}, {"low", stored.Low[i], sent.Low[j]},
		{"close", stored.Close[i], sent.Close[j]}, {"volume", stored.Volume[i], sent.Volume[j]},
	} {
		if c.stored != c.sent {
			return c.name, c.stored, c.sent
		}
	}
	return "", 0, 0
}

func missing(at int64, how string) *SeamError {
	t := time.UnixMicro(at).UTC()
	return &SeamError{Time: t, Column: "time", Reason: fmt.Sprintf("the bar of %s %s; rewrite=true replaces all bars", stamp(t), how)}
}

func differing(at int64, column string, was, is float64) *SeamError {
	t := time.UnixMicro(at).UTC()
	return &SeamError{Time: t, Column: column, Stored: &was, Sent: &is, Reason: fmt.Sprintf(
		"the bar of %s has %s %s, and %s was sent; after a split or dividend, send all bars with rewrite=true", stamp(t), column, number(was), number(is))}
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Changes is what a rewrite changes.
type Changes struct {
	Changed, Removed, Inserted, Added int    // bars: with other values, dropped, new between stored ones, new after them
	First                             string // the first change in words
}

// None reports whether the bars are those that are stored.
func (c Changes) None() bool { return c.Changed+c.Removed+c.Inserted+c.Added == 0 }

// String says what changed.
func (c Changes) String() string {
	text := fmt.Sprintf("%d bars changed, %d removed, %d inserted, %d added", c.Changed, c.Removed, c.Inserted, c.Added)
	if c.First != "" {
		text += "; the first: " + c.First
	}
	return text
}

// Replaces reports whether any stored bar is another after it, or no longer there, or has a new one before it.
func (c Changes) Replaces() bool { return c.Changed+c.Removed+c.Inserted > 0 }

// Rewrite compares all bars with those that are to replace them. These must cover the stored ones from the
// first to the last: else bars of before and after a split would stand side by side.
func Rewrite(stored, sent *Bars) (Changes, error) {
	var c Changes
	if from, to, n := stored.Time[0], stored.Time[stored.Len()-1], sent.Len(); sent.Time[0] > from || sent.Time[n-1] < to {
		from, to := time.UnixMicro(from).UTC(), time.UnixMicro(to).UTC()
		return c, &SeamError{Option: OptionRewrite, Time: time.UnixMicro(sent.Time[0]).UTC(), Column: "time", Reason: fmt.Sprintf(
			"a rewrite replaces every bar, and the sent ones do not reach from the first stored one, of %s, to the last, of %s", stamp(from), stamp(to))}
	}
	note := func(at int64, what string) {
		if c.First == "" {
			c.First = stamp(time.UnixMicro(at).UTC()) + " " + what
		}
	}
	i, j := 0, 0
	for i < stored.Len() || j < sent.Len() {
		switch {
		case i == stored.Len():
			c.Added++
			j++
		case j == sent.Len() || stored.Time[i] < sent.Time[j]:
			c.Removed++
			note(stored.Time[i], "was removed")
			i++
		case sent.Time[j] < stored.Time[i]:
			c.Inserted++
			note(sent.Time[j], "was inserted")
			j++
		default:
			if column, was, is := barDifference(stored, i, sent, j); column != "" {
				c.Changed++
				note(stored.Time[i], fmt.Sprintf("%s %s became %s", column, number(was), number(is)))
			}
			i, j = i+1, j+1
		}
	}
	return c, nil
}

// FinerTick is the tick size that bars show when it is finer than a known one; else 0.
func FinerTick(b *Bars, known float64) float64 {
	if tick := GuessTick(b); known > 0 && tick < known && math.Abs(tick/known-1) > 1e-9 {
		return tick
	}
	return 0
}
