package ohlcv

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"millrace/jobs/backtest"
)

// The columns of a file, in the order of a columns' fields.
const (
	colTime = iota
	colOpen
	colHigh
	colLow
	colClose
	colVolume
	colCount
)

// columnOf maps a file's column name to one of ours; ok is false for a column to ignore.
func columnOf(name string) (col int, ok bool) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "time", "timestamp", "date":
		return colTime, true
	case "open":
		return colOpen, true
	case "high":
		return colHigh, true
	case "low":
		return colLow, true
	case "close":
		return colClose, true
	case "volume":
		return colVolume, true
	}
	return 0, false
}

func columnName(col int) string {
	return [colCount]string{"time", "open", "high", "low", "close", "volume"}[col]
}

// mapping holds, for each of our columns, its index in the file, or -1 for an absent volume.
type mapping [colCount]int

// mapColumns finds our columns among a file's. row is where the names stand: 1 in a CSV file, 0 in
// a Parquet file.
func mapColumns(names []string, row int) (mapping, error) {
	m := mapping{-1, -1, -1, -1, -1, -1}
	for i, name := range names {
		col, ok := columnOf(name)
		if !ok {
			continue
		}
		if m[col] >= 0 {
			return m, &RowError{Row: row, Column: clip(name), Reason: fmt.Sprintf(
				"is the second column for the %s: the first is %q", columnName(col), clip(names[m[col]]))}
		}
		m[col] = i
	}
	var missing []string
	for col := colTime; col <= colClose; col++ {
		if m[col] < 0 {
			missing = append(missing, columnName(col))
		}
	}
	if len(missing) > 0 {
		return m, &RowError{Row: row, Reason: fmt.Sprintf(
			"missing columns %s; the file has %s", strings.Join(missing, ", "), listNames(names))}
	}
	return m, nil
}

func listNames(names []string) string {
	const most = 20
	quoted := make([]string, 0, most+1)
	for i, name := range names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", clip(name)))
	}
	return strings.Join(quoted, ", ")
}

// clip cuts text from a file to a length fit for a message.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return strings.ToValidUTF8(s, "�")
	}
	return strings.ToValidUTF8(s[:most], "�") + "…"
}

// columns collects a file's bars.
type columns struct {
	time   []int64
	prices [colCount][]float64 // by column; colTime unused
}

func (c *columns) len() int { return len(c.time) }

// bars checks the invariants. rowOf gives the file's row of a bar (from 0), names the file's
// spelling of each column.
func (c *columns) bars(rowOf func(bar int) int, names [colCount]string) (*backtest.Bars, error) {
	if c.len() == 0 {
		return nil, &RowError{Reason: "the file has no rows of data"}
	}
	if c.prices[colVolume] == nil {
		c.prices[colVolume] = make([]float64, c.len())
	}
	clipped := slices.Clip[[]float64]
	b, err := backtest.NewBars(slices.Clip(c.time), clipped(c.prices[colOpen]), clipped(c.prices[colHigh]),
		clipped(c.prices[colLow]), clipped(c.prices[colClose]), clipped(c.prices[colVolume]))
	var bad *backtest.BarError
	if errors.As(err, &bad) && bad.Row > 0 {
		rowErr := &RowError{Row: rowOf(bad.Row - 1), Column: bad.Field, Reason: bad.Reason}
		if col, ok := columnOf(bad.Field); ok {
			rowErr.Column = names[col]
		}
		return nil, rowErr
	}
	if err != nil {
		return nil, &RowError{Reason: err.Error()}
	}
	return b, nil
}
