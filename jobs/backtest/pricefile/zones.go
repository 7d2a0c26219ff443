package pricefile

import (
	"fmt"
	"strings"
	"time"
)

// Where the zone of times is from.
const (
	zoneFile    = "file"
	zoneOption  = "option"
	zoneLayout  = "layout"
	zoneAssumed = "assumed"
	zoneNone    = "none" // dates without a time of day need none
)

// abbreviations mean several zones; these are the likeliest.
var abbreviations = map[string][]string{
	"EST": {"America/New_York", "Etc/GMT+5"}, "EDT": {"America/New_York", "Etc/GMT+4"}, "ET": {"America/New_York"},
	"CST": {"America/Chicago", "Asia/Shanghai", "Etc/GMT+6"}, "CDT": {"America/Chicago"}, "CT": {"America/Chicago"},
	"PST": {"America/Los_Angeles", "Etc/GMT+8"}, "PDT": {"America/Los_Angeles"}, "MST": {"America/Denver", "Etc/GMT+7"},
	"CET": {"Europe/Berlin", "Etc/GMT-1"}, "CEST": {"Europe/Berlin"}, "EET": {"Europe/Athens", "Etc/GMT-2"}, "EEST": {"Europe/Athens"},
	"BST": {"Europe/London", "Asia/Dhaka"}, "IST": {"Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"}, "JST": {"Asia/Tokyo"},
	"HKT": {"Asia/Hong_Kong"}, "SGT": {"Asia/Singapore"}, "AEST": {"Australia/Sydney", "Australia/Brisbane"}, "MSK": {"Europe/Moscow"},
}

// zones brings times to UTC, with the oldest row first.
func (t *table) zones(opts Options, reading *Reading) error {
	reading.Order = "ascending"
	if rising, falling := directions(t.time); falling > rising {
		t.oldestFirst()
		reading.Order = "descending"
	}
	name := ""
	switch {
	case t.absolute:
		reading.TimeZone, reading.ZoneFrom = "UTC", zoneFile
		return nil
	case !t.clock:
		reading.TimeZone, reading.ZoneFrom = "UTC", zoneNone
		return nil
	case t.zone != "":
		zone, err := loadZone(t.zone)
		if err != nil && opts.TimeZone == "" {
			return ask("time_zone", t.rows.row(0), abbreviations[strings.ToUpper(t.zone)], "the times are of %q, which means several zones or none: say which", clip(t.zone))
		}
		if err == nil {
			reading.TimeZone, reading.ZoneFrom = t.zone, zoneFile
			return t.convert(zone)
		}
		name, reading.ZoneFrom = opts.TimeZone, zoneOption
	case opts.TimeZone != "":
		name, reading.ZoneFrom = opts.TimeZone, zoneOption
	case t.layout.zone != "":
		name, reading.ZoneFrom = t.layout.zone, zoneLayout
	case t.layout.broker:
		return ask("time_zone", t.rows.row(0), []string{"Europe/Athens", "UTC"},
			"the times are of the broker's server, whose zone the file does not say: many keep Eastern European time")
	default:
		name, reading.ZoneFrom = "UTC", zoneAssumed
		reading.note("times have no zone and are taken as UTC: time_zone says another")
	}
	zone, err := loadZone(name)
	if err != nil {
		return fmt.Errorf("zone of a layout: %w", err)
	}
	reading.TimeZone = name
	return t.convert(zone)
}

// convert makes UTC of wall clocks in order of time. Of an hour that comes twice, the first rows are those
// before the clock was set back.
func (t *table) convert(zone *time.Location) error {
	if zone == time.UTC {
		return nil
	}
	last := int64(minMicros) - 1
	var span offsets
	for i, wall := range t.time {
		at, ok := span.utc(zone, wall, last)
		if !ok {
			return ask("time_zone", t.rows.row(i), nil, "%s does not exist in %s, whose clock is set forward then: the times are of another zone",
				time.UnixMicro(wall).UTC().Format(time.DateTime), zone)
		}
		t.time[i], last = at, at
	}
	return nil
}

// offsets remembers a stretch of wall clocks that has one offset.
type offsets struct {
	from, to int64 // of wall clocks
	offset   int64 // microseconds east of UTC
}

// utc is the instant of a wall clock after last, if one of the two is; ok is false where there is none.
func (o *offsets) utc(zone *time.Location, wall, last int64) (at int64, ok bool) {
	if wall >= o.from && wall < o.to {
		return wall - o.offset, true
	}
	const around = 25 * 3600 * 1_000_000 // no zone is further from UTC, and changes are further apart
	before, after := offsetAt(zone, wall-around), offsetAt(zone, wall+around)
	if before == after {
		o.from, o.to, o.offset = wall, wall, before
		if start, end := time.UnixMicro(wall - before).In(zone).ZoneBounds(); true {
			o.from, o.to = minMicros, maxMicros+1
			if !start.IsZero() {
				o.from = start.UnixMicro() + before + around
			}
			if !end.IsZero() {
				o.to = end.UnixMicro() + before - around
			}
		}
		return wall - before, offsetAt(zone, wall-before) == before
	}
	first, second := wall-max(before, after), wall-min(before, after)
	firstOK, secondOK := offsetAt(zone, first) == wall-first, offsetAt(zone, second) == wall-second
	switch {
	case firstOK && (first > last || !secondOK):
		return first, true
	case secondOK:
		return second, true
	}
	return 0, false
}

func offsetAt(zone *time.Location, at int64) int64 {
	_, seconds := time.UnixMicro(at).In(zone).Zone()
	return int64(seconds) * 1_000_000
}
