package calendar

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// MinInterval is the least time between two slots.
const MinInterval = time.Minute

// Line is a cron line in a time zone.
type Line struct {
	spec *cron.SpecSchedule
	zone *time.Location
}

// ErrNever is a line that has no slot within years.
var ErrNever = errors.New("never fires: the day does not exist in any of its months")

// Parse reads a cron line. The error reads on from the field's name.
func Parse(line string, zone *time.Location) (Line, error) {
	fields := strings.Fields(line)
	switch {
	case len(fields) == 0:
		return Line{}, errors.New("is empty: five fields are minute, hour, day of month, month and day of week, as in 30 6 * * 1-5")
	case strings.Contains(line, "TZ="):
		return Line{}, errors.New("names a time zone, which is time_zone's")
	case fields[0] == "@every":
		return Line{}, errors.New("cannot be @every: five fields say when, at most once a minute, as in */15 * * * *")
	case len(fields) == 6 && !strings.HasPrefix(fields[0], "@"):
		return Line{}, errors.New("has 6 fields: without the seconds there are five, as a schedule fires at most once a minute")
	}
	parsed, err := cron.ParseStandard(strings.Join(fields, " "))
	if err != nil {
		return Line{}, fmt.Errorf("is not a cron line: %w", err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Line{}, errors.New("is not a cron line of five fields")
	}
	l := Line{spec, zone}
	spec.Location = time.UTC
	if spec.Next(time.Unix(0, 0).UTC()).IsZero() {
		return Line{}, ErrNever
	}
	return l, nil
}

// everyHour reports whether the line fires in all hours alike.
func (l Line) everyHour() bool {
	const hours = 1<<24 - 1
	return l.spec.Hour&hours == hours
}

// Next is the first slot after a moment. It is zero when there is none within five years.
func (l Line) Next(after time.Time) time.Time {
	if l.everyHour() {
		elapsed := *l.spec
		elapsed.Location = l.zone
		return elapsed.Next(after.In(l.zone)).UTC()
	}
	for wall := onWall(after.In(l.zone)); ; {
		if wall = l.spec.Next(wall); wall.IsZero() {
			return wall
		}
		if at := reached(wall, l.zone); at.After(after) {
			return at
		}
	}
}

// onWall is what a clock on the wall shows, as if it were UTC.
func onWall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}

// reached is the moment when the clock on the wall first shows a time, or one after it that it jumps to.
func reached(wall time.Time, zone *time.Location) time.Time {
	for t := wall.Add(-36 * time.Hour).In(zone); ; {
		_, offset := t.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		_, end := t.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return at.UTC()
		}
		if t = end.In(zone); !onWall(t).Before(wall) {
			return t.UTC()
		}
	}
}
