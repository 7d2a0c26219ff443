package ohlcv

import (
	"bytes"

	"millrace/jobs/backtest"
)

// Format is a file format that Read understands.
type Format string

// The formats of files of bars.
const (
	FormatCSV     Format = "csv"
	FormatParquet Format = "parquet"
)

// Detect returns the format of a file by its first bytes: Parquet by its magic, else CSV.
func Detect(data []byte) Format {
	if bytes.HasPrefix(data, []byte("PAR1")) || bytes.HasPrefix(data, []byte("PARE")) {
		return FormatParquet
	}
	return FormatCSV
}

// Read reads bars from a CSV or Parquet file.
func Read(data []byte) (*backtest.Bars, error) {
	if Detect(data) == FormatParquet {
		return ReadParquet(data)
	}
	return ReadCSV(bytes.NewReader(data))
}
