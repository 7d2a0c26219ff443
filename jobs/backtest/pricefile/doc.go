// Package pricefile reads files of price bars as vendors and libraries write them, with nothing edited.
//
// It recognises the compression (gzip, zip, zstd), the encoding (UTF-8, UTF-16), the delimiter, the ends
// of lines, the columns by the names that vendors give them, the decimal and the thousands mark, the
// form of times, their zone, the order of rows and the scale of prices; or a Parquet file. What it took
// the file for is a Reading, which is stored with the dataset.
//
// A guess that could be wrong is a Question instead: it names the option that answers it and the choices.
// What is wrong without a choice is a *RowError that names the row, the column and the value.
//
// # Rules
//
//   - Times without a zone are UTC, unless Options.TimeZone or the layout says another; a Reading says so.
//     An hour that comes twice in them, as where daylight saving ends, is a question.
//   - Dates without a time of day are the midnight of that day in UTC, whatever the zone.
//   - Numbers as times (Unix times, YYYYMMDD, spreadsheet serials and others) are read in the one form
//     that makes times between 1950 and now at distances of a known timeframe, or of the stated one.
//   - Day and month stand in the order that makes all dates valid and rising; else it is a question.
//   - Rows whose prices are all empty are dropped and counted. Rows with some are refused.
//   - Prices are raw. With Options.Adjust split_dividend, open, high and low are scaled by adjusted close
//     over close, and the close is the adjusted one; volumes stay.
//   - A file holds one instrument. Of several, Options.Ticker names the one to read.
//
// Memory is that of the bars, whatever the file: lines, texts, pages and archives have limits.
package pricefile

import "fmt"

// RowError says where a file is wrong.
type RowError struct {
	Row    int    // line of a text file or row of a Parquet file, from 1; 0 for the file as a whole
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

func fileError(format string, args ...any) error {
	return &RowError{Reason: fmt.Sprintf(format, args...)}
}
