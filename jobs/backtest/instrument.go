package backtest

import (
	"fmt"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // time zones are the same on every machine

	"millrace/jobs/invalid"
)

// Instrument is what is known of the bars' instrument beyond its prices. Zero values are unknown.
type Instrument struct {
	PeriodsPerYear float64 `json:"periods_per_year"` // returns in a year, by which figures are annualised
	TimeZone       string  `json:"time_zone"`        // IANA name of the exchange's zone; "": UTC
	Session        string  `json:"session"`          // HH:MM-HH:MM in that zone; "": the whole day
	TickSize       float64 `json:"tick_size"`        // smallest price step
	QuantityStep   float64 `json:"quantity_step"`    // smallest step of a quantity
	PointValue     float64 `json:"point_value"`      // money a price move of one makes for one unit
	Currency       string  `json:"currency"`         // of the prices
}

// Validate names every field that is out of its range.
func (in Instrument) Validate() []invalid.FieldError {
	var errs []invalid.FieldError
	within := func(field string, v, low, high float64) {
		if v != 0 && !(v >= low && v <= high) {
			errs = append(errs, invalid.FieldError{Field: field, Message: fmt.Sprintf("must be from %v to %v", low, high), Limit: []float64{low, high}})
		}
	}
	within("periods_per_year", in.PeriodsPerYear, 0.1, 366)
	within("tick_size", in.TickSize, 1e-12, 1e6)
	within("quantity_step", in.QuantityStep, 1e-12, 1e6)
	within("point_value", in.PointValue, 1e-9, 1e9)
	if _, _, err := in.dayEnd(); err != nil {
		errs = append(errs, *err)
	}
	if n := len(in.Currency); n > 0 && (n < 2 || n > 10 || strings.ContainsFunc(in.Currency, func(r rune) bool { return r < 'A' || r > 'Z' })) {
		errs = append(errs, invalid.FieldError{Field: "currency", Message: "must be 2 to 10 capital letters, such as USD"})
	}
	return errs
}

// dayEnd is where the instrument's days end: the zone, and the time of day in microseconds. A session
// over midnight ends its day; other days end at midnight.
func (in Instrument) dayEnd() (*time.Location, int64, *invalid.FieldError) {
	zone, err := time.LoadLocation(in.TimeZone)
	if err != nil || in.TimeZone == "Local" {
		return nil, 0, &invalid.FieldError{Field: "time_zone", Message: fmt.Sprintf("%q is not a time zone of the IANA list, such as America/New_York", in.TimeZone)}
	}
	if in.Session == "" {
		return zone, 0, nil
	}
	bad := &invalid.FieldError{Field: "session", Message: "must be HH:MM-HH:MM in the instrument's time zone, such as 09:30-16:00, or 17:00-17:00 for a day that ends then"}
	from, to, ok := strings.Cut(in.Session, "-")
	start, err1 := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if !ok || err1 != nil || err2 != nil || len(in.Session) != 11 {
		return nil, 0, bad
	}
	if start.Before(end) {
		return zone, 0, nil
	}
	return zone, end.Sub(start.Truncate(24 * time.Hour)).Microseconds(), nil
}

// As is the same bars with what is known of their instrument: days end by its session and zone, and
// returns are annualised by its periods. The prices are shared.
func (b *Bars) As(in Instrument) (*Bars, error) {
	zone, end, bad := in.dayEnd()
	if bad != nil {
		return nil, bad
	}
	of := *b
	of.instrument = in
	if b.dayEnds != nil && (zone != time.UTC || end != 0) {
		of.days = localDays(b.Time, zone, end)
		of.dayEnds = endsOf(of.days)
	}
	return &of, nil
}

// Instrument is what is known of the bars' instrument.
func (b *Bars) Instrument() Instrument { return b.instrument }

// localDays numbers the day of each bar, whose days begin at an hour of a zone.
func localDays(at []int64, zone *time.Location, begin int64) []int32 {
	days := make([]int32, len(at))
	var until, offset int64 // the offset from UTC holds until then
	for i, t := range at {
		if i == 0 || t >= until {
			moment := time.UnixMicro(t).In(zone)
			_, seconds := moment.Zone()
			offset, until = int64(seconds)*1e6, math.MaxInt64
			if _, change := moment.ZoneBounds(); !change.IsZero() {
				until = change.UnixMicro()
			}
		}
		days[i] = int32(floorDay(t + offset - begin))
	}
	return days
}

func endsOf(days []int32) []int32 {
	var ends []int32
	for i := range days {
		if i == len(days)-1 || days[i] != days[i+1] {
			ends = append(ends, int32(i))
		}
	}
	return ends
}

// sameDay reports whether two neighbouring bars are of one day.
func (b *Bars) sameDay(i, j int) bool {
	if b.days != nil {
		return b.days[i] == b.days[j]
	}
	return floorDay(b.Time[i]) == floorDay(b.Time[j])
}

// TickOf is the smallest price step that the prices show as they are: the power of ten that all are multiples of,
// from 1e-8 to 0.01.
func TickOf(b *Bars) float64 { return math.Pow10(-exactDecimals(b)) }

// GuessTick is TickOf of what prices that passed through single precision (1438.359985 for 1438.36) were before.
func GuessTick(b *Bars) float64 {
	decimals := exactDecimals(b)
	if decimals > 4 {
		decimals = singleDecimals(b, decimals)
	}
	return math.Pow10(-decimals)
}

// singleDecimals are the decimals, fewer than most, that all prices have but for an error as single precision makes
// it; most when there are none, or when the prices are so large that such an error hides the decimals.
func singleDecimals(b *Bars, most int) int {
	columns := [][]float64{b.Open, b.High, b.Low, b.Close}
	for decimals := 2; decimals < most; decimals++ {
		if scale := math.Pow10(decimals); allSingle(columns, scale) {
			return decimals
		}
	}
	return most
}

func allSingle(columns [][]float64, scale float64) bool {
	const (
		rounded = 0x1p-24 // at most, of a number in single precision
		printed = 5e-7    // six decimals, as most programs print such numbers
		most    = 0.25    // of a step: beyond, most numbers would fit by chance
	)
	for _, column := range columns {
		for _, price := range column {
			slack := (float64(math.Abs(price)*rounded) + printed) * scale
			scaled := float64(price * scale)
			if slack > most || math.Abs(scaled-math.Round(scaled)) > slack {
				return false
			}
		}
	}
	return true
}

// exactDecimals are the decimals of the prices, from 2 to 8.
func exactDecimals(b *Bars) int {
	decimals := 2
	scale := 100.0
	for _, column := range [][]float64{b.Open, b.High, b.Low, b.Close} {
		for _, price := range column {
			for decimals < 8 {
				scaled := float64(price * scale)
				if math.Abs(scaled-math.Round(scaled)) <= 1e-9*max(1, math.Abs(scaled)) {
					break
				}
				decimals++
				scale = math.Pow10(decimals)
			}
		}
	}
	return decimals
}
