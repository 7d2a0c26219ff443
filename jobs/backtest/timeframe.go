package backtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Timeframe is the distance between bars by its name: a number and s, m, h, d, w, mo or y.
type Timeframe string

// timeframeUnits are the units of a timeframe, in microseconds; those of months and years are typical.
var timeframeUnits = map[string]int64{
	"s": 1e6, "m": 60e6, "h": microsPerHour, "d": microsPerDay, "w": 7 * microsPerDay, "mo": 30 * microsPerDay, "y": 365 * microsPerDay,
}

// timeframes is the closed set, shortest first.
var timeframes = []Timeframe{
	"1s", "5s", "10s", "15s", "30s", "1m", "2m", "3m", "4m", "5m", "6m", "10m", "12m", "15m", "20m", "30m", "45m",
	"1h", "90m", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "2d", "3d", "4d", "1w", "2w", "1mo", "2mo", "3mo", "6mo", "1y",
}

// timeframeAliases are what vendors call timeframes, lower case but for those of one letter.
var timeframeAliases = map[string]Timeframe{
	"d": "1d", "day": "1d", "daily": "1d", "w": "1w", "week": "1w", "weekly": "1w", "M": "1mo", "1M": "1mo", "3M": "3mo", "6M": "6mo",
	"month": "1mo", "monthly": "1mo", "quarterly": "3mo", "1q": "3mo", "q": "3mo", "yearly": "1y", "annual": "1y", "y": "1y", "12mo": "1y",
	"hourly": "1h", "h": "1h", "1min": "1m", "5min": "5m", "15min": "15m", "30min": "30m", "60min": "1h", "60m": "1h", "120m": "2h",
	"180m": "3h", "240m": "4h", "24h": "1d", "7d": "1w", "14d": "2w", "60s": "1m", "1wk": "1w", "1.5h": "90m",
}

// Timeframes lists the closed set of timeframes, shortest first.
func Timeframes() []Timeframe { return slices.Clone(timeframes) }

// ParseTimeframe reads a timeframe by its name or by one that vendors use for it.
func ParseTimeframe(name string) (Timeframe, bool) {
	name = strings.TrimSpace(name)
	if slices.Contains(timeframes, Timeframe(name)) {
		return Timeframe(name), true
	}
	if tf, ok := timeframeAliases[name]; ok {
		return tf, true
	}
	lower := strings.ToLower(name)
	if strings.HasSuffix(name, "M") { // months: a minute is written in lower case
		return "", false
	}
	if slices.Contains(timeframes, Timeframe(lower)) {
		return Timeframe(lower), true
	}
	tf, ok := timeframeAliases[lower]
	return tf, ok
}

// split returns the number and the unit.
func (t Timeframe) split() (count int, unit string) {
	digits := strings.TrimRight(string(t), "smhdwoy")
	count, _ = strconv.Atoi(digits)
	return count, string(t)[len(digits):]
}

// Micros is the length in microseconds; that of months and years is typical.
func (t Timeframe) Micros() int64 {
	count, unit := t.split()
	return int64(count) * timeframeUnits[unit]
}

// holds reports whether bars of the timeframe can stand so far apart: exactly within a day, and within
// what clocks, months and years vary from a day on.
func (t Timeframe) holds(gap int64) bool {
	count, unit := t.split()
	length, slack := t.Micros(), int64(0)
	switch unit {
	case "d":
		slack = 4 * microsPerHour
	case "w":
		slack = 12 * microsPerHour
	case "mo":
		slack = 3 * microsPerDay
		length += int64(count) * microsPerDay / 2
	case "y":
		slack = 5 * microsPerDay
	}
	return gap >= length-slack && gap <= length+slack
}

// timeframeOf is the timeframe whose bars stand so far apart, or "".
func timeframeOf(gap int64) Timeframe {
	for _, t := range timeframes {
		if t.holds(gap) {
			return t
		}
	}
	return ""
}

// commonShare is the least share of all distances that makes one a bar's own, where weekends, closed
// hours or bars without trades stretch the median.
const commonShare = 7 // a seventh

// DetectTimeframe is the timeframe of bars at those times: that of the median distance, or of a shorter
// one that is common. It is "" where neither is in the closed set, and for fewer than two bars.
func DetectTimeframe(time []int64) Timeframe {
	if len(time) < 2 {
		return ""
	}
	counts := map[Timeframe]int{}
	last, alike := time[1]-time[0], 0
	for i, t := range time[1:] {
		if gap := t - time[i]; gap != last {
			counts[timeframeOf(last)] += alike
			last, alike = gap, 0
		}
		alike++
	}
	counts[timeframeOf(last)] += alike
	for _, t := range timeframes {
		if counts[t]*commonShare >= len(time)-1 {
			return t
		}
	}
	return timeframeOf(typicalInterval(time))
}

// CheckTimeframe is nil when bars at those times can be of the timeframe; else its error names both.
func (t Timeframe) CheckTimeframe(time []int64) error {
	if len(time) < 2 {
		return nil
	}
	found := DetectTimeframe(time)
	if found == t || t == "1d" && len(time) < 6 && time[len(time)-1]-time[0] <= int64(len(time)-1)*4*microsPerDay && found.Micros() > t.Micros() {
		return nil // a few days may stand around a weekend
	}
	gap := typicalInterval(time)
	if found == "" {
		return fmt.Errorf("%s contradicts the bars, whose median distance is %s", t, spellGap(gap))
	}
	return fmt.Errorf("%s contradicts the bars, which are %s: their median distance is %s", t, found, spellGap(gap))
}

// spellGap writes a distance in the largest unit that it is a whole number of.
func spellGap(micros int64) string {
	for _, unit := range []struct {
		micros int64
		name   string
	}{{microsPerDay, "days"}, {microsPerHour, "hours"}, {60e6, "minutes"}, {1e6, "seconds"}, {1e3, "milliseconds"}} {
		if micros%unit.micros == 0 {
			return fmt.Sprintf("%d %s", micros/unit.micros, unit.name)
		}
	}
	return fmt.Sprintf("%d microseconds", micros)
}
