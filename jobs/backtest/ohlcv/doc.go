// Package ohlcv converts files to backtest.Bars and back: it reads CSV and Parquet, packs bars into
// the compact columns that the store keeps, makes seeded synthetic bars, and holds the sample.
//
// A file names its columns in any case and any order: time (or timestamp, or date), open, high,
// low, close and, optionally, volume; other columns are ignored. Times are RFC 3339, a date, a
// date and time with or without an offset, "Jan 2 2006", or Unix seconds, milliseconds,
// microseconds or nanoseconds by magnitude. A time without an offset is UTC, and everything is
// brought to UTC. What is wrong is reported as a *RowError that names the row and the column.
package ohlcv

import (
	_ "embed" // for the sample
	"fmt"
	"slices"
)

// MaxRows is the most bars that a file or an encoded dataset may hold.
const MaxRows = 5_000_000

// RowError says where a file is wrong.
type RowError struct {
	Row    int    // line of a CSV file or row of a Parquet file, from 1; 0 for the file as a whole
	Column string // as the file spells it; empty when no one column is at fault
	Value  string // the offending text, cut to a displayable length; may be empty
	Reason string
}

// Error implements error.
func (e *RowError) Error() string {
	where := ""
	if e.Row > 0 {
		where = fmt.Sprintf("row %d, ", e.Row)
	}
	if e.Column != "" {
		where += fmt.Sprintf("column %q, ", e.Column)
	}
	if e.Value != "" {
		where += fmt.Sprintf("value %q, ", e.Value)
	}
	if where == "" {
		return e.Reason
	}
	return where[:len(where)-2] + ": " + e.Reason
}

//go:embed sample/sp500.csv
var sampleCSV string

// Sample is the bundled sample as CSV: the S&P 500 daily from 2000 to 2020. Its origin is written
// in sample/README.md.
func Sample() []byte { return slices.Clone([]byte(sampleCSV)) }
