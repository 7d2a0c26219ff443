package backtest

import (
	"fmt"
	"math"
)

// CalendarWeekdays is that of markets that trade around the clock from Monday to Friday.
const CalendarWeekdays Calendar = 260

// Calendars lists the calendars a dataset can have.
func Calendars() []Calendar {
	return []Calendar{CalendarExchange, CalendarWeekdays, CalendarContinuous}
}

// microsPerYear is the mean year of the Gregorian calendar.
const microsPerYear = 365.2425 * float64(microsPerDay)

// GuessCalendar is the calendar that the days of the week show: with Saturdays, around the clock; with
// Sundays, Mondays and Fridays but no Saturdays, as currencies are traded. sundays says that a session
// begins on Sunday.
func (b *Bars) GuessCalendar() (calendar Calendar, sundays bool) {
	var counts [7]int
	for _, t := range b.Time {
		counts[(floorDay(t)%7+7)%7]++ // 1970-01-01 was a Thursday: 2 is Saturday
	}
	const saturday, sunday, monday, friday = 2, 3, 4, 1
	n := b.Len()
	switch {
	case b.interval >= 5*microsPerDay || n < 5:
		return CalendarExchange, false
	case counts[saturday]*20 >= n:
		return CalendarContinuous, false
	case counts[sunday] > 0 && counts[sunday]*100 >= n && counts[monday] > 0 && counts[friday] > 0:
		return CalendarWeekdays, true
	}
	return CalendarExchange, false
}

// ConventionalPeriods is the number of returns in a year by the calendar and the distance between bars:
// those of days where bars are shorter.
func (b *Bars) ConventionalPeriods(calendar Calendar) float64 {
	days := float64(b.interval) / float64(microsPerDay)
	switch tf := DetectTimeframe(b.Time); {
	case b.interval < 20*microsPerHour:
		return float64(calendar)
	case tf == "":
		return b.periodsPerYear(calendar)
	default:
		count, unit := tf.split()
		switch per := float64(count); unit {
		case "d":
			return float64(calendar) / per
		case "w":
			return 52 / per
		case "mo":
			return 12 / per
		case "y":
			return 1 / per
		}
	}
	return 365.2425 / days
}

// ObservedPeriods counts the returns in a year: those of days where bars are shorter. Gaps of more than
// ten bars and ten days do not count. ok is false for less than half a year.
func (b *Bars) ObservedPeriods() (perYear float64, ok bool) {
	at := b.Time
	if b.dayEnds != nil {
		at = make([]int64, len(b.dayEnds))
		for i, end := range b.dayEnds {
			at[i] = b.Time[end]
		}
	}
	if len(at) < 3 {
		return 0, false
	}
	usual := max(typicalInterval(at), 1)
	elapsed, count := 0.0, 0
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap <= 10*usual || gap <= 10*microsPerDay {
			elapsed += float64(gap)
			count++
		}
	}
	if elapsed < microsPerYear/2 {
		return 0, false
	}
	return float64(count) / elapsed * microsPerYear, true
}

// observedSlack is how far the observed periods may be from the conventional ones before they count.
const observedSlack = 0.05

// Describe completes what is stated of the bars' instrument by what the bars show, and says what it
// took from them and why. A calendar of zero is not stated.
func (b *Bars) Describe(stated Instrument, calendar Calendar) (in Instrument, of Calendar, guesses []string) {
	in, of = stated, calendar
	note := func(format string, args ...any) { guesses = append(guesses, fmt.Sprintf(format, args...)) }
	guessed, sundays := b.GuessCalendar()
	if of == 0 {
		of = guessed
		note("calendar %d: %s", of, map[Calendar]string{
			CalendarContinuous: "the bars have Saturdays", CalendarWeekdays: "the bars have Sundays and no Saturdays", CalendarExchange: "the bars have no weekends",
		}[of])
	}
	if b.interval < 20*microsPerHour && of == CalendarWeekdays && sundays && in.Session == "" && in.TimeZone == "" {
		in.Session, in.TimeZone = "17:00-17:00", "America/New_York"
		note("session 17:00-17:00 America/New_York: the week begins on Sunday, as that of currencies does")
	}
	if in.TickSize == 0 {
		in.TickSize = GuessTick(b)
		note("tick_size %v: the step that all prices are multiples of", in.TickSize)
	}
	if in.PeriodsPerYear == 0 {
		in.PeriodsPerYear = b.ConventionalPeriods(of)
		if days, err := b.As(in); err == nil {
			observed, ok := days.ObservedPeriods()
			if ok && calendar == 0 && math.Abs(observed/in.PeriodsPerYear-1) > observedSlack {
				in.PeriodsPerYear = math.Round(observed*100) / 100
				note("periods_per_year %v: observed; the calendar's would be %v", in.PeriodsPerYear, b.ConventionalPeriods(of))
			} else if ok {
				note("periods_per_year %v: by the calendar; observed %.1f", in.PeriodsPerYear, observed)
			} else {
				note("periods_per_year %v: by the calendar; the bars are too few to observe it", in.PeriodsPerYear)
			}
		}
	}
	return in, of, guesses
}
