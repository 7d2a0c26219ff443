package pricefile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"millrace/jobs/backtest"
)

// Reading is what a file was taken for. It is stored with the dataset.
type Reading struct {
	Format       string             `json:"format"`                 // csv or parquet
	Layout       string             `json:"layout"`                 // whose conventions: yahoo, stooq, …; plain
	Compression  string             `json:"compression"`            // none, gzip, zip or zstd
	Encoding     string             `json:"encoding,omitempty"`     // utf-8, utf-16le or utf-16be
	Delimiter    string             `json:"delimiter,omitempty"`    // comma, semicolon, tab, pipe or space
	DecimalMark  string             `json:"decimal_mark,omitempty"` // . or ,
	Thousands    string             `json:"thousands,omitempty"`    // the mark between thousands
	Header       bool               `json:"header"`                 // the file names its columns
	Columns      map[string]string  `json:"columns"`                // ours to the file's, or its number
	Ignored      []string           `json:"ignored,omitempty"`      // columns that are not read
	TimeFormat   string             `json:"time_format"`            // such as YYYY-MM-DD or unix_ms
	DateOrder    string             `json:"date_order,omitempty"`   // of day, month and year
	TimeZone     string             `json:"time_zone"`              // of the file's times
	ZoneFrom     string             `json:"time_zone_from"`         // file, layout, option, or assumed
	Order        string             `json:"order"`                  // ascending, descending or sorted
	PriceScale   float64            `json:"price_scale"`            // that prices were multiplied by
	Adjusted     string             `json:"adjusted"`               // raw or split_dividend
	Ticker       string             `json:"ticker,omitempty"`       // the instrument by the file
	Tickers      []string           `json:"tickers,omitempty"`      // the first of several
	Timeframe    backtest.Timeframe `json:"timeframe"`              // stated or found
	Rows         int                `json:"rows"`                   // of data
	Bars         int                `json:"bars"`
	SkippedLines int                `json:"skipped_lines,omitempty"` // before the header or the first row
	Dropped      []Dropped          `json:"dropped,omitempty"`
	Guesses      []string           `json:"guesses,omitempty"` // of the calendar and the instrument
	Notes        []string           `json:"notes,omitempty"`
}

// Dropped counts rows that are not bars, for one reason.
type Dropped struct {
	Reason   string `json:"reason"`
	Rows     int    `json:"rows"`
	FirstRow int    `json:"first_row"` // as RowError counts
}

func (r *Reading) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Reading) drop(reason string, row int) {
	for i := range r.Dropped {
		if r.Dropped[i].Reason == reason {
			r.Dropped[i].Rows++
			return
		}
	}
	r.Dropped = append(r.Dropped, Dropped{reason, 1, row})
}

// Question is what only the owner of a file can say.
type Question struct {
	Option  string   `json:"option"`            // that answers it
	Choices []string `json:"choices,omitempty"` // of the option; none when it is free
	Reason  string   `json:"reason"`            // what could be meant, and where
	Row     int      `json:"row,omitempty"`     // where it shows; 0: everywhere
}

// QuestionError is a file that leaves questions open.
type QuestionError struct{ Questions []Question }

// Error implements error.
func (e *QuestionError) Error() string {
	parts := make([]string, len(e.Questions))
	for i, q := range e.Questions {
		parts[i] = q.Option + ": " + q.Reason
	}
	return strings.Join(parts, "; ")
}

func ask(option string, row int, options []string, format string, args ...any) error {
	return &QuestionError{[]Question{{Option: option, Choices: options, Reason: fmt.Sprintf(format, args...), Row: row}}}
}

// Stated are the options by which another file of the same series is to be read as this one was: time_zone
// and adjust when they were stated, and what answers the questions that it may leave open.
func (r *Reading) Stated() map[string]string {
	stated := map[string]string{
		"date_order": r.DateOrder, "decimal": r.DecimalMark, "time_format": r.TimeFormat, "ticker": r.Ticker, "columns": r.columns(),
	}
	if r.PriceScale != 0 {
		stated["price_scale"] = strconv.FormatFloat(r.PriceScale, 'g', -1, 64)
	}
	if r.ZoneFrom == zoneOption {
		stated["time_zone"] = r.TimeZone
	}
	if r.Adjusted == AdjustSplitDividend {
		stated["adjust"] = r.Adjusted
	}
	return stated
}

// columns are the file's columns as the option columns names them.
func (r *Reading) columns() string {
	var pairs []string
	for _, ours := range slices.Sorted(maps.Keys(r.Columns)) {
		pairs = append(pairs, ours+"="+r.Columns[ours])
	}
	return strings.Join(pairs, ",")
}
