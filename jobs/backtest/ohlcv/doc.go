// Package ohlcv packs backtest.Bars into the compact columns that the store keeps, writes them as CSV,
// makes seeded synthetic bars, and holds the sample. Package pricefile reads files.
package ohlcv

import (
	_ "embed" // for the sample
	"slices"
)

// MaxRows is the most bars that a file or an encoded dataset may hold.
const MaxRows = 12_000_000

// The times that bars may hold, as microseconds: years 1 to 9999, which RFC 3339 can write.
const (
	minMicros = -62_135_596_800 * 1_000_000
	maxMicros = 253_402_300_799*1_000_000 + 999_999
)

//go:embed sample/sp500.csv
var sampleCSV string

// Sample is the bundled sample as CSV: the S&P 500 daily from 2000 to 2020. Its origin is written
// in sample/README.md.
func Sample() []byte { return slices.Clone([]byte(sampleCSV)) }
