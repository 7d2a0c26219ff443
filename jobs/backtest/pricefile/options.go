package pricefile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// Options answer the questions that a file leaves open. The zero value states nothing.
type Options struct {
	TimeZone   string             `json:"time_zone,omitempty"`   // IANA name: of times without a zone
	DateOrder  string             `json:"date_order,omitempty"`  // dmy or mdy
	TimeFormat string             `json:"time_format,omitempty"` // of numbers as times: see TimeFormats
	Decimal    string             `json:"decimal,omitempty"`     // the decimal mark: . or ,
	PriceScale float64            `json:"price_scale,omitempty"` // prices are multiplied by it
	Adjust     string             `json:"adjust,omitempty"`      // none or split_dividend
	Columns    string             `json:"columns,omitempty"`     // as in time=Date,close=Last or time=1,open=2
	Ticker     string             `json:"ticker,omitempty"`      // the instrument to read of several
	Order      string             `json:"order,omitempty"`       // sort: rows in any order are sorted by time
	TimeRange  string             `json:"time_range,omitempty"`  // any: also times before 1950 and in the future
	Jump       string             `json:"jump,omitempty"`        // any: also prices that change manifold from one bar to the next
	Timeframe  backtest.Timeframe `json:"timeframe,omitempty"`   // what the bars are said to be
	Now        time.Time          `json:"-"`                     // times after it are in the future; zero: none are
}

// The choices of Options.Adjust, DateOrder, Order, TimeRange and Jump.
const (
	AdjustNone          = "none"
	AdjustSplitDividend = "split_dividend"
	OrderDMY            = "dmy"
	OrderMDY            = "mdy"
	OrderSort           = "sort"
	RangeAny            = "any"
	JumpAny             = "any"
)

// choices of the options that have a closed set.
var choices = map[string][]string{
	"date_order": {OrderDMY, OrderMDY}, "decimal": {".", ","}, "adjust": {AdjustNone, AdjustSplitDividend},
	"order": {OrderSort}, "time_range": {RangeAny}, "jump": {JumpAny}, "time_format": TimeFormats(),
}

// OptionNames lists the options as forms and command lines spell them.
func OptionNames() []string {
	return []string{"time_zone", "date_order", "time_format", "decimal", "price_scale", "adjust", "columns", "ticker", "order", "time_range", "jump"}
}

// Choices are the values of an option that has a closed set; nil for the others.
func Choices(option string) []string { return slices.Clone(choices[option]) }

// Set reads one option by its name.
func (o *Options) Set(name, value string) *invalid.FieldError {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	if allowed, ok := choices[name]; ok && !slices.Contains(allowed, value) {
		return &invalid.FieldError{Field: name, Message: "must be one of " + strings.Join(allowed, ", "), Limit: allowed}
	}
	switch name {
	case "time_zone":
		if _, err := loadZone(value); err != nil {
			return &invalid.FieldError{Field: name, Message: err.Error()}
		}
		o.TimeZone = value
	case "price_scale":
		scale, err := strconv.ParseFloat(value, 64)
		if err != nil || !(scale >= 1e-18 && scale <= 1e18) {
			return &invalid.FieldError{Field: name, Message: "must be a number that prices are multiplied by, such as 1e-9", Limit: []float64{1e-18, 1e18}}
		}
		o.PriceScale = scale
	case "columns":
		if _, err := parseColumns(value); err != nil {
			return &invalid.FieldError{Field: name, Message: err.Error()}
		}
		o.Columns = value
	default:
		text := map[string]*string{
			"date_order": &o.DateOrder, "decimal": &o.Decimal, "adjust": &o.Adjust, "order": &o.Order, "time_range": &o.TimeRange, "jump": &o.Jump,
			"time_format": &o.TimeFormat, "ticker": &o.Ticker,
		}[name]
		if text == nil {
			return &invalid.FieldError{Field: name, Message: "is not an option of reading files", Limit: OptionNames()}
		}
		*text = value
	}
	return nil
}

// loadZone finds a zone. Abbreviations are refused: they mean several.
func loadZone(name string) (*time.Location, error) {
	switch upper := strings.ToUpper(name); {
	case upper == "UTC" || upper == "GMT" || upper == "Z":
		return time.UTC, nil
	case name == "Local" || !strings.Contains(name, "/"):
		return nil, fmt.Errorf("%q is not a zone's full name: take one such as America/New_York, Europe/Berlin or UTC; Etc/GMT+5 is five hours behind UTC all year", clip(name))
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone of the IANA list, such as America/New_York", clip(name))
	}
	return zone, nil
}

// parseColumns reads the option columns: our names and the file's, or its numbers from 1.
func parseColumns(text string) (map[string]string, error) {
	stated := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		ours, theirs, ok := strings.Cut(pair, "=")
		ours, theirs = strings.ToLower(strings.TrimSpace(ours)), strings.TrimSpace(theirs)
		if !ok || theirs == "" || slotOf(ours) < 0 {
			return nil, fmt.Errorf("must be pairs such as time=Date,open=2,close=Last of %s and the file's names or numbers from 1", strings.Join(slotNames[:], ", "))
		}
		if stated[ours] != "" {
			return nil, fmt.Errorf("names %s twice", ours)
		}
		stated[ours] = theirs
	}
	return stated, nil
}
