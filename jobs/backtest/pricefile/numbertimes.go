package pricefile

import (
	"fmt"
	"math"
	"strings"
	"time"

	"millrace/jobs/backtest"
)

// numberFormat is one way to read a number as a time. ok is false where it is none.
type numberFormat struct {
	name     string
	absolute bool // of UTC, not of a wall clock
	convert  func(n int64, fraction float64) (at int64, ok bool)
}

// numberFormats are tried in this order.
func numberFormats() []numberFormat {
	calendar := func(low, high int64, clock int64, parts func(n int64) (int, int, int, int64)) func(int64, float64) (int64, bool) {
		return func(n int64, fraction float64) (int64, bool) {
			if n < low || n > high || fraction != 0 {
				return 0, false
			}
			year, month, day, micros := parts(n)
			at, err := midnight(year, month, day)
			return at + micros, err == nil && micros >= 0 && micros < clock
		}
	}
	serial := func(epoch int64) func(int64, float64) (int64, bool) {
		return func(n int64, fraction float64) (int64, bool) {
			if n < 0 || n > 5_000_000 {
				return 0, false
			}
			seconds := int64(math.Round(fraction * 86_400))
			at := (n-epoch)*microsDay + seconds*1_000_000
			return at, at >= minMicros && at <= maxMicros
		}
	}
	return []numberFormat{
		{"unix_s", true, unixOf(1_000_000, 1)}, {"unix_ms", true, unixOf(1000, 1)}, {"unix_us", true, unixOf(1, 1)}, {"unix_ns", true, unixOf(1, 1000)},
		{"YYYYMMDD", false, calendar(1_00_00, 9999_12_31, microsDay, func(n int64) (int, int, int, int64) {
			return int(n / 10_000), int(n / 100 % 100), int(n % 100), 0
		})},
		{"YYYYMMDDHHMM", false, calendar(1_0000_0000_00, 9999_1231_2359, microsDay, func(n int64) (int, int, int, int64) {
			return int(n / 1_0000_0000), int(n / 1_00_0000 % 100), int(n / 1_0000 % 100), clockOf(n%1_0000/100, n%100, 0)
		})},
		{"YYYYMMDDHHMMSS", false, calendar(1000_0101_000000, 9999_1231_235959, microsDay, func(n int64) (int, int, int, int64) {
			return int(n / 100_0000_0000), int(n / 1_0000_0000 % 100), int(n / 100_0000 % 100), clockOf(n%1_00_0000/1_0000, n%1_0000/100, n%100)
		})},
		{"YYYYMM", false, calendar(1_01, 9999_12, microsDay, func(n int64) (int, int, int, int64) { return int(n / 100), int(n % 100), 1, 0 })},
		{"YYMMDD", false, calendar(1_01, 99_12_31, microsDay, func(n int64) (int, int, int, int64) {
			return century(int(n / 10_000)), int(n / 100 % 100), int(n % 100), 0
		})},
		{"YYYY", false, calendar(1800, 2200, microsDay, func(n int64) (int, int, int, int64) { return int(n), 1, 1, 0 })},
		{"excel", false, serial(25_569)},
		{"matlab", false, serial(719_529)},
		{"unix_days", false, serial(0)},
	}
}

// TimeFormats names the ways to read numbers as times.
func TimeFormats() []string {
	var names []string
	for _, f := range numberFormats() {
		names = append(names, f.name)
	}
	return names
}

func clockOf(hour, minute, second int64) int64 {
	if hour > 23 || minute > 59 || second > 59 {
		return -1
	}
	return (hour*3600 + minute*60 + second) * 1_000_000
}

// unixOf reads Unix times of a unit of so many microseconds, or of which so many make one.
func unixOf(times, per int64) func(int64, float64) (int64, bool) {
	return func(n int64, fraction float64) (int64, bool) {
		if n > maxMicros/times || n < minMicros/times {
			if per == 1 {
				return 0, false
			}
		}
		at := n * times
		if per > 1 {
			at = floorDiv(n, per)
		}
		at += int64(math.Round(fraction * float64(times)))
		return at, at >= minMicros && at <= maxMicros
	}
}

func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

// looksAt is how many rows decide which format numbers are in.
const looksAt = 5000

// numberTimes makes times of numbers, in the one format that fits.
func (t *table) numberTimes(opts Options, reading *Reading) error {
	format, err := t.numberFormat(opts)
	if err != nil {
		return err
	}
	for i, n := range t.time {
		at, ok := format.convert(n, t.fractionOf(i))
		if !ok {
			return &RowError{t.rows.row(i), t.spelt[slotTime], fmt.Sprint(n), "is not a time in the form " + format.name + ", as other rows are"}
		}
		t.time[i] = at
		t.clock = t.clock || at%microsDay != 0
	}
	t.absolute, t.fraction = format.absolute, nil
	reading.TimeFormat = format.name
	return nil
}

func (t *table) fractionOf(i int) float64 {
	if t.fraction == nil {
		return 0
	}
	return t.fraction[i]
}

// numberFormat finds the format: the stated one, the vendor's, or the only one that makes sense.
func (t *table) numberFormat(opts Options) (numberFormat, error) {
	if t.countsRows() {
		return numberFormat{}, &RowError{t.rows.row(0), t.spelt[slotTime], fmt.Sprint(t.time[0]), "the column holds row numbers, not times: name the one of times, as in columns=time=NAME"}
	}
	var fits []numberFormat
	var natural *numberFormat
	for _, f := range numberFormats() {
		if opts.TimeFormat == f.name {
			return f, nil
		}
		switch {
		case t.layout.name == "stooq" && f.name != "YYYYMMDD":
			continue
		case f.absolute && t.natural() == f.name:
			natural = &f
		}
		if t.layout.name == "stooq" || opts.TimeFormat == "" && t.fits(f, opts) {
			fits = append(fits, f)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) == 0 && natural != nil:
		return *natural, nil
	case len(fits) == 0:
		return numberFormat{}, ask("time_format", t.rows.row(0), TimeFormats(), "%s does not fit the bars as a time in any known form: say which it is", t.number(0))
	}
	names, spelt := make([]string, len(fits)), make([]string, len(fits))
	for i, f := range fits {
		at, _ := f.convert(t.time[0], t.fractionOf(0))
		names[i], spelt[i] = f.name, fmt.Sprintf("%s (%s)", f.name, time.UnixMicro(at).UTC().Format(time.RFC3339))
	}
	return numberFormat{}, ask("time_format", t.rows.row(0), names, "%s may be %s: say which, or state the timeframe", t.number(0), strings.Join(spelt, " or "))
}

func (t *table) number(i int) string {
	if f := t.fractionOf(i); f != 0 {
		return fmt.Sprintf("%.5f", float64(t.time[i])+f)
	}
	return fmt.Sprint(t.time[i])
}

// countsRows reports whether the times are 0, 1, 2, … or 1, 2, 3, ….
func (t *table) countsRows() bool {
	if t.len() < 2 || t.fraction != nil || t.time[0] != 0 && t.time[0] != 1 {
		return false
	}
	for i, n := range t.time {
		if n != t.time[0]+int64(i) {
			return false
		}
	}
	return true
}

// natural is the Unix format by magnitude, or "": until the year 5138 in seconds, and from 1973 on.
func (t *table) natural() string {
	size := math.Abs(float64(t.time[0]))
	last := math.Abs(float64(t.time[t.len()-1]))
	size = max(size, last)
	switch {
	case size < 1e8 && min(t.time[0], t.time[t.len()-1]) >= 0:
		return ""
	case size < 1e11:
		return "unix_s"
	case size < 1e14:
		return "unix_ms"
	case size < 1e17:
		return "unix_us"
	}
	return "unix_ns"
}

// fits reports whether a format makes plausible times of the numbers: of days from 1950 to now, at the
// distances of the stated timeframe or of any.
func (t *table) fits(f numberFormat, opts Options) bool {
	low, high := timeRange(opts)
	n := min(t.len(), looksAt)
	times := make([]int64, 0, n)
	step := max(1, t.len()/looksAt)
	for i := 0; i < t.len(); i += step { // over the whole file
		at, ok := f.convert(t.time[i], t.fractionOf(i))
		if !ok || at < low || at > high {
			return false
		}
	}
	for i := range n { // side by side
		at, ok := f.convert(t.time[i], t.fractionOf(i))
		if !ok {
			return false
		}
		times = append(times, at)
	}
	if n < 2 {
		return true
	}
	if times[0] > times[n-1] {
		reverse(times)
	}
	if opts.Timeframe != "" {
		return opts.Timeframe.CheckTimeframe(times) == nil
	}
	return backtest.DetectTimeframe(times) != ""
}

// timeRange is between which times bars are expected.
func timeRange(opts Options) (low, high int64) {
	if opts.TimeRange == RangeAny {
		return minMicros, maxMicros
	}
	high = maxMicros
	if !opts.Now.IsZero() {
		high = opts.Now.Add(24 * time.Hour).UnixMicro() // daily bars are of a day that has begun somewhere
	}
	return time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), high
}
