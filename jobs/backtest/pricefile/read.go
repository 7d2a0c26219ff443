package pricefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
)

// Read reads the bars of a file and says what it took the file for. The error is a *RowError for what is
// wrong, a *QuestionError for what only the options can say; the reading is as far as it went then.
// An error of src itself is returned wrapped.
func Read(src io.ReaderAt, size int64, opts Options) (*backtest.Bars, *Reading, error) {
	magic := make([]byte, 4)
	if n, err := src.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Reading{}, fmt.Errorf("read the file: %w", err)
	} else if n == 4 && (bytes.Equal(magic, parquetMagic) || bytes.Equal(magic, []byte("PARE"))) {
		return readParquet(src, size, opts)
	}
	text, compression, err := unpack(src, size)
	if err != nil {
		return nil, &Reading{Format: "csv", Compression: compression}, err
	}
	defer func() { _ = text.Close() }() // read only: nothing to lose
	f, err := openText(text, opts, compression)
	if err != nil {
		return nil, &f.reading, err
	}
	t, err := f.readText(size)
	if err != nil {
		return nil, &f.reading, err
	}
	bars, err := t.resolve(opts, &f.reading)
	return bars, &f.reading, err
}

// ReadBytes is Read of a file in memory.
func ReadBytes(data []byte, opts Options) (*backtest.Bars, *Reading, error) {
	return Read(bytes.NewReader(data), int64(len(data)), opts)
}

// Sample is the bars of the bundled sample.
func Sample() (*backtest.Bars, error) {
	bars, _, err := ReadBytes(ohlcv.Sample(), Options{})
	return bars, err
}
