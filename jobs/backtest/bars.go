package backtest

import (
	"fmt"
	"math"
	"slices"
)

const (
	microsPerHour = int64(3600) * 1e6
	microsPerDay  = 24 * microsPerHour
)

// BarError says which bar breaks which rule.
type BarError struct {
	Row    int    // 1-based number of the bar
	Field  string // column at fault
	Reason string
}

// Error implements error.
func (e *BarError) Error() string { return fmt.Sprintf("bar %d, %s: %s", e.Row, e.Field, e.Reason) }

// NewBars checks the columns and takes them over without copying. The error is a *BarError for the
// first bar at fault.
func NewBars(time []int64, open, high, low, closes, volume []float64) (*Bars, error) {
	n := len(time)
	for _, column := range []struct {
		name string
		len  int
	}{{"open", len(open)}, {"high", len(high)}, {"low", len(low)}, {"close", len(closes)}, {"volume", len(volume)}} {
		if column.len != n {
			return nil, &BarError{Row: min(n, column.len) + 1, Field: column.name, Reason: fmt.Sprintf("has %d values for %d bars", column.len, n)}
		}
	}
	b := &Bars{Time: time, Open: open, High: high, Low: low, Close: closes, Volume: volume}
	for from := 0; from < n; {
		i := b.firstFault(from)
		if i == n {
			break
		}
		if field, reason := b.fault(i); reason != "" {
			return nil, &BarError{Row: i + 1, Field: field, Reason: reason}
		}
		from = i + 1
	}
	b.interval = typicalInterval(time)
	if b.interval < 20*microsPerHour {
		b.dayEnds = dayEnds(time)
	}
	return b, nil
}

// firstFault is the first bar from from on that may break a rule, or the number of bars: all rules in a few comparisons.
func (b *Bars) firstFault(from int) int {
	n := len(b.Time)
	at, open, high, low, closes, volume := b.Time, b.Open[:n], b.High[:n], b.Low[:n], b.Close[:n], b.Volume[:n]
	last := int64(math.MinInt64)
	if from > 0 {
		last = at[from-1]
	}
	for i := from; i < n; i++ {
		o, h, l, c, v := open[i], high[i], low[i], closes[i], volume[i]
		// A low above zero that nothing is below, and a finite high that nothing is above, bound all four.
		ok := l > 0 && l <= o && l <= c && h >= o && h >= c && h <= math.MaxFloat64 && v >= 0 && v <= math.MaxFloat64
		if t := at[i]; !ok || t <= last && i > 0 {
			return i
		}
		last = at[i]
	}
	return n
}

// fault names the first rule that bar i breaks, or "".
func (b *Bars) fault(i int) (field, reason string) {
	if i > 0 && b.Time[i] <= b.Time[i-1] {
		return "time", "is not after the bar before it"
	}
	for _, price := range []struct {
		name  string
		value float64
	}{{"open", b.Open[i]}, {"high", b.High[i]}, {"low", b.Low[i]}, {"close", b.Close[i]}} {
		if !(price.value > 0) || math.IsInf(price.value, 0) {
			return price.name, fmt.Sprintf("%v is not a finite positive price", price.value)
		}
	}
	switch {
	case b.Low[i] > min(b.Open[i], b.Close[i]):
		return "low", fmt.Sprintf("%v is above open or close", b.Low[i])
	case b.High[i] < max(b.Open[i], b.Close[i]):
		return "high", fmt.Sprintf("%v is below open or close", b.High[i])
	case !(b.Volume[i] >= 0) || math.IsInf(b.Volume[i], 0):
		return "volume", fmt.Sprintf("%v is not a finite amount of zero or more", b.Volume[i])
	}
	return "", ""
}

// typicalInterval is the median distance between bars in microseconds; a day for fewer than two.
func typicalInterval(time []int64) int64 {
	if len(time) < 2 {
		return microsPerDay
	}
	// Most distances are alike: the one in the middle is often the median, which counting shows.
	middle := len(time) / 2
	usual := time[middle] - time[middle-1]
	less, equal := 0, 0
	for i, t := range time[1:] {
		switch gap := t - time[i]; {
		case gap == usual:
			equal++
		case gap < usual:
			less++
		}
	}
	if n := (len(time) - 1) / 2; n >= less && n < less+equal {
		return usual
	}
	gaps := make([]int64, len(time)-1)
	for i := range gaps {
		gaps[i] = time[i+1] - time[i]
	}
	return selectNth(gaps, len(gaps)/2)
}

// selectNth is the value at place n of the sorted values, which it reorders. Distances are mostly alike,
// so values like the pivot are put apart.
func selectNth(values []int64, n int) int64 {
	for {
		pivot := values[len(values)/2]
		less, equal := 0, 0
		for _, v := range values {
			if v < pivot {
				less++
			} else if v == pivot {
				equal++
			}
		}
		switch {
		case n >= less && n < less+equal:
			return pivot
		case n < less:
			values = slices.DeleteFunc(values, func(v int64) bool { return v >= pivot })
		default:
			n -= less + equal
			values = slices.DeleteFunc(values, func(v int64) bool { return v <= pivot })
		}
	}
}

// dayEnds lists the last bar of each UTC day.
func dayEnds(time []int64) []int32 {
	var ends []int32
	next := int64(math.MinInt64) // where the day of the bar before ends
	for i, t := range time {
		if t < next {
			continue
		}
		if i > 0 {
			ends = append(ends, int32(i-1))
		}
		next = (floorDay(t) + 1) * microsPerDay
	}
	if len(time) > 0 {
		ends = append(ends, int32(len(time)-1))
	}
	return ends
}

func floorDay(t int64) int64 {
	day := t / microsPerDay
	if t%microsPerDay < 0 {
		day--
	}
	return day
}

// periodsPerYear is the number of return periods in a year: the instrument's own, or else by the calendar
// and the distance between bars.
func (b *Bars) periodsPerYear(calendar Calendar) float64 {
	if b.instrument.PeriodsPerYear > 0 {
		return b.instrument.PeriodsPerYear
	}
	switch days := float64(b.interval) / float64(microsPerDay); {
	case days >= 300:
		return 1
	case days >= 80:
		return 4
	case days >= 26:
		return 12
	case days >= 13:
		return 26
	case days > 6.5:
		return 52
	case days > 5.5: // four trading days around a weekend
		return float64(calendar) / 4
	case days > 4.5: // three of them
		return float64(calendar) / 3
	case days > 1.5:
		return float64(calendar) / math.Round(days)
	}
	return float64(calendar)
}

// SameInterval reports whether the typical distance between bars is that of another history.
func (b *Bars) SameInterval(other *Bars) bool { return b.interval == other.interval }

// LongestGap is the longest distance between two bars in microseconds, and the bar before it.
func (b *Bars) LongestGap() (micros int64, bar int) {
	for i := 1; i < len(b.Time); i++ {
		if gap := b.Time[i] - b.Time[i-1]; gap > micros {
			micros, bar = gap, i-1
		}
	}
	return micros, bar
}
