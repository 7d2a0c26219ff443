package pine

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are the same on every machine

	"millrace/jobs/pine/ir"
)

func parseZone(name string) (*time.Location, error) {
	for _, p := range []string{"GMT", "UTC"} {
		rest, ok := strings.CutPrefix(name, p)
		if !ok {
			continue
		}
		if rest == "" {
			return time.UTC, nil
		}
		sign := 1
		if rest[0] == '-' {
			sign = -1
		}
		rest = strings.TrimLeft(rest, "+-")
		hours, minutes, _ := strings.Cut(rest, ":")
		if len(hours) == 4 {
			hours, minutes = hours[:2], hours[2:]
		}
		h, errH := strconv.Atoi(hours)
		min := 0
		if minutes != "" {
			min, _ = strconv.Atoi(minutes)
		}
		if errH == nil && h <= 14 && min < 60 {
			return time.FixedZone(name, sign*(h*3600+min*60)), nil
		}
	}
	if z, err := time.LoadLocation(name); err == nil && name != "Local" {
		return z, nil
	}
	return nil, fmt.Errorf("the time zone %q is not known", name)
}

// timeFunction are the functions of calendar and clock.
func timeFunction(name string) function {
	base := strings.TrimSuffix(name, "()")
	switch base {
	case "year", "month", "weekofyear", "dayofmonth", "dayofweek", "hour", "minute", "second":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			if a[0] != a[0] {
				return a[0], nil
			}
			zone := m.run.market.Zone
			if len(a) > 1 && a[1] == a[1] {
				var err error
				if zone, err = m.run.zone(m.run.text(a[1])); err != nil {
					return 0, err
				}
			}
			return calendar(base, int64(whole(a[0])), zone), nil
		}
	case "time_tradingday":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			return float64(floorDiv(int64(whole(a[0])), dayMillis) * dayMillis), nil
		}
	case "timestamp":
		return timestamp
	case "timestamp.text":
		return func(m *machine, _ *callInfo, a []float64) (float64, error) {
			t, err := ir.ParseDate(m.run.text(a[0]))
			return float64(t), err
		}
	}
	if name == "time()" || name == "time_close()" {
		return timeOf
	}
	return nil
}

func calendar(part string, ms int64, zone *time.Location) float64 {
	if zone == time.UTC {
		switch part {
		case "hour":
			return float64((ms/3_600_000%24 + 24) % 24)
		case "minute":
			return float64((ms/60_000%60 + 60) % 60)
		case "second":
			return float64((ms/1000%60 + 60) % 60)
		case "dayofweek":
			return float64(((floorDiv(ms, dayMillis)+4)%7+7)%7 + 1)
		}
	}
	t := time.UnixMilli(ms).In(zone)
	switch part {
	case "year":
		return float64(t.Year())
	case "month":
		return float64(t.Month())
	case "weekofyear":
		_, w := t.ISOWeek()
		return float64(w)
	case "dayofmonth":
		return float64(t.Day())
	case "dayofweek":
		return float64(t.Weekday() + 1)
	case "hour":
		return float64(t.Hour())
	case "minute":
		return float64(t.Minute())
	}
	return float64(t.Second())
}

// timestamp takes a zone, year, month, day, hour, minute and second.
func timestamp(m *machine, _ *callInfo, a []float64) (float64, error) {
	zone, err := m.run.zone(m.run.text(a[0]))
	if err != nil {
		return 0, err
	}
	def := [7]float64{0, 1970, 1, 1, 0, 0, 0}
	for i := 1; i < 7; i++ {
		v := a[i]
		if v != v {
			v = def[i]
		}
		if math.Abs(v) > 1e6 {
			return 0, errors.New("timestamp has a part beyond a million")
		}
		def[i] = v
	}
	t := time.Date(whole(def[1]), time.Month(whole(def[2])), whole(def[3]), whole(def[4]), whole(def[5]), whole(def[6]), 0, zone)
	return float64(t.UnixMilli()), nil
}

// timeOf is time(timeframe, session, zone) and time_close: na outside of the session.
func timeOf(m *machine, c *callInfo, a []float64) (float64, error) {
	now := int64(whole(a[4]))
	if back := a[3]; back == back && back != 0 {
		i := m.bar - whole(back)
		if i < 0 || i >= m.f.bars.Len() || back < 0 {
			return math.NaN(), nil
		}
		now = int64(m.f.series[ir.SeriesTime][i])
	}
	tf := m.run.text(a[0])
	if tf == "" {
		tf = m.f.tf
	}
	t, err := parseTimeframe(tf)
	if err != nil {
		return 0, fmt.Errorf("%q %w", tf, err)
	}
	start := now
	if t.millis() > m.f.interval {
		start = t.start(now, m.run.market.Zone)
	}
	if s := m.run.text(a[1]); s != "" {
		zone, err := m.run.zone(m.run.text(a[2]))
		if err != nil {
			return 0, err
		}
		in, err := m.run.inSession(s, now, zone)
		if err != nil {
			return 0, err
		}
		if !in {
			return math.NaN(), nil
		}
	}
	if strings.HasPrefix(c.name, "time_close") {
		if t.millis() <= m.f.interval {
			return float64(start + m.f.interval), nil
		}
		return float64(t.end(start, m.run.market.Zone)), nil
	}
	return float64(start), nil
}

// inSession reports whether a time is in one of the comma-separated sessions HHMM-HHMM:days.
func (r *Run) inSession(session string, ms int64, zone *time.Location) (bool, error) {
	if session == "24x7" {
		return true, nil
	}
	local := ms
	if zone != time.UTC {
		_, offset := time.UnixMilli(ms).In(zone).Zone()
		local += int64(offset) * 1000
	}
	day := floorDiv(local, dayMillis)
	minute := int(floorDiv(local-day*dayMillis, minuteMillis))
	weekday := int(((day+4)%7 + 7) % 7) // 0 is Sunday
	for part := range strings.SplitSeq(session, ",") {
		hours, days, given := strings.Cut(strings.TrimSpace(part), ":")
		if !given {
			days = "1234567"
			if r.program.ir.Version < 5 {
				days = "23456"
			}
		}
		from, to, ok := sessionMinutes(hours)
		if !ok {
			return false, fmt.Errorf("%q is not a session; write it as 0930-1600", session)
		}
		has := func(d int) bool { return strings.ContainsRune(days, rune('1'+(d+7)%7)) }
		switch {
		case from < to:
			if minute >= from && minute < to && has(weekday) {
				return true, nil
			}
		case minute < to && has(weekday), minute >= from && has(weekday+1) && to > 0, minute >= from && to == 0 && has(weekday):
			return true, nil
		}
	}
	return false, nil
}

func sessionMinutes(s string) (from, to int, ok bool) {
	a, b, found := strings.Cut(s, "-")
	if !found || len(a) != 4 || len(b) != 4 {
		return 0, 0, false
	}
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	if errX != nil || errY != nil || x < 0 || y < 0 {
		return 0, 0, false
	}
	return x/100*60 + x%100, y/100*60 + y%100, true
}

// match is str.match; patterns are compiled once a run.
func match(m *machine, _ *callInfo, a []float64) (float64, error) {
	pattern := m.run.text(a[1])
	re, ok := m.run.patterns[pattern]
	if !ok {
		var err error
		if re, err = regexp.Compile(pattern); err != nil {
			return 0, fmt.Errorf("%q is not a pattern that can be used here", pattern)
		}
		if m.run.patterns == nil || len(m.run.patterns) > 100 {
			m.run.patterns = map[string]*regexp.Regexp{}
		}
		m.run.patterns[pattern] = re
	}
	return m.run.intern(re.FindString(m.run.text(a[0])))
}

func formatTime(m *machine, _ *callInfo, a []float64) (float64, error) {
	zone, err := m.run.zone(m.run.text(a[2]))
	if err != nil {
		return 0, err
	}
	layout := m.run.text(a[1])
	if layout == "" {
		layout = "yyyy-MM-dd'T'HH:mm:ssZ"
	}
	t := time.UnixMilli(int64(whole(a[0]))).In(zone)
	r := strings.NewReplacer("yyyy", t.Format("2006"), "yy", t.Format("06"), "MMMM", t.Format("January"), "MMM", t.Format("Jan"), "MM", t.Format("01"),
		"dd", t.Format("02"), "d", t.Format("2"), "HH", t.Format("15"), "hh", t.Format("03"), "mm", t.Format("04"), "ss", t.Format("05"),
		"SSS", t.Format("000"), "EEEE", t.Format("Monday"), "EEE", t.Format("Mon"), "a", t.Format("PM"), "Z", t.Format("-0700"), "'", "")
	return m.run.intern(r.Replace(layout))
}
