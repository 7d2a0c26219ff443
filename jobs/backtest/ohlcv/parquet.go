package ohlcv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"millrace/jobs/backtest"
)

// ReadParquet reads bars from a Parquet file with flat columns. Pages may be plain or dictionary
// encoded, uncompressed or packed by snappy, gzip or zstd. Times may be timestamps, dates, INT96,
// text or plain Unix integers; prices any number. A wrong file gives a *RowError.
func ReadParquet(data []byte) (b *backtest.Bars, err error) {
	// The guards reject what would allocate without bound; the library panics on some other
	// malformed files, always on this goroutine.
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, &RowError{Reason: fmt.Sprintf("the Parquet file is malformed: %v", p)}
		}
	}()
	if err := guardFooter(data); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, &RowError{Reason: fmt.Sprintf("the Parquet file is malformed: %v", err)}
	}
	if f.NumRows() > MaxRows {
		return nil, &RowError{Reason: fmt.Sprintf("the file has more than %d rows", MaxRows)}
	}
	leaves, names := topLeaves(f)
	m, err := mapColumns(names, 0)
	if err != nil {
		return nil, err
	}
	var c columns
	for col, i := range m {
		if i < 0 {
			continue
		}
		if err := guardColumn(data, f.Metadata(), leaves[i]); err != nil {
			return nil, err
		}
		if err := readColumn(f, leaves[i], col, &c); err != nil {
			return nil, err
		}
	}
	return c.bars(func(bar int) int { return bar + 1 }, namesOf(m, names))
}

// topLeaves lists the columns that are neither nested nor repeated.
func topLeaves(f *parquet.File) (leaves []*parquet.Column, names []string) {
	for _, c := range f.Root().Columns() {
		if c.Leaf() && !c.Repeated() {
			leaves, names = append(leaves, c), append(names, c.Name())
		}
	}
	return leaves, names
}

// readColumn appends every value of a column to c.
func readColumn(f *parquet.File, leaf *parquet.Column, col int, c *columns) error {
	want := int(f.NumRows())
	add, count, err := appender(leaf, col, c, want)
	if err != nil {
		return err
	}
	for _, group := range f.RowGroups() {
		if err := readChunk(group.ColumnChunks()[leaf.Index()], func(v parquet.Value) error {
			if count() == want {
				return &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("has more values than the file's %d rows", want)}
			}
			if err := add(v); err != nil {
				return &RowError{count() + 1, clip(leaf.Name()), clip(v.String()), err.Error()}
			}
			return nil
		}); err != nil {
			var row *RowError
			if errors.As(err, &row) {
				return row
			}
			return &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("cannot be read after row %d: %v", count(), err)}
		}
	}
	if count() != want {
		return &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("has %d values for %d rows", count(), want)}
	}
	return nil
}

// readChunk calls fn with every value of a column chunk.
func readChunk(chunk parquet.ColumnChunk, fn func(parquet.Value) error) error {
	pages := chunk.Pages()
	defer func() { _ = pages.Close() }() // read only: nothing to lose
	buf := make([]parquet.Value, 1024)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := readPage(page.Values(), buf, fn); err != nil {
			return err
		}
		parquet.Release(page)
	}
}

func readPage(values parquet.ValueReader, buf []parquet.Value, fn func(parquet.Value) error) error {
	for {
		n, err := values.ReadValues(buf)
		for _, v := range buf[:n] {
			if err := fn(v); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrNoProgress
		}
	}
}

// appender returns a function that converts a value and appends it to c's column, and one that
// counts what was appended.
func appender(leaf *parquet.Column, col int, c *columns, rows int) (add func(parquet.Value) error, count func() int, err error) {
	if col == colTime {
		convert := timeOf(leaf.Type())
		if convert == nil {
			return nil, nil, &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("has type %s, which holds no time", leaf.Type())}
		}
		c.time = make([]int64, 0, rows)
		return func(v parquet.Value) error {
			if v.IsNull() {
				return errors.New("is null")
			}
			t, err := convert(v)
			if err != nil {
				return err
			}
			c.time = append(c.time, t)
			return nil
		}, func() int { return len(c.time) }, nil
	}
	convert := numberOf(leaf.Type())
	if convert == nil {
		return nil, nil, &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("has type %s, which is not a number", leaf.Type())}
	}
	c.prices[col] = make([]float64, 0, rows)
	return func(v parquet.Value) error {
		if v.IsNull() {
			if col != colVolume {
				return errors.New("is null")
			}
			c.prices[col] = append(c.prices[col], 0)
			return nil
		}
		c.prices[col] = append(c.prices[col], convert(v))
		return nil
	}, func() int { return len(c.prices[col]) }, nil
}

// numberOf converts values of a column's type to float64; nil when they are not numbers.
func numberOf(t parquet.Type) func(parquet.Value) float64 {
	scale := 1.0
	if logical := t.LogicalType(); logical != nil && logical.Value != nil {
		switch l := logical.Value.(type) {
		case *format.DecimalType:
			scale = math.Pow10(int(l.Scale))
		case *format.IntType:
			if !l.IsSigned && l.BitWidth == 64 {
				return func(v parquet.Value) float64 { return float64(uint64(v.Int64())) }
			}
			if !l.IsSigned {
				return func(v parquet.Value) float64 { return float64(uint32(v.Int32())) }
			}
		default:
			return nil
		}
	}
	switch t.Kind() {
	case parquet.Double:
		return func(v parquet.Value) float64 { return v.Double() }
	case parquet.Float:
		return func(v parquet.Value) float64 { return float64(v.Float()) }
	case parquet.Int32:
		return func(v parquet.Value) float64 { return float64(v.Int32()) / scale }
	case parquet.Int64:
		return func(v parquet.Value) float64 { return float64(v.Int64()) / scale }
	}
	return nil
}

// timeOf converts values of a column's type to microseconds; nil when they hold no time.
func timeOf(t parquet.Type) func(parquet.Value) (int64, error) {
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.TimestampType:
		if l.Unit.Value == nil || t.Kind() != parquet.Int64 {
			return nil
		}
		return timestampOf(l.Unit.Value.Duration())
	case *format.DateType:
		return func(v parquet.Value) (int64, error) { return checkMicros(int64(v.Int32()) * 86_400_000_000) }
	case nil, *format.IntType, *format.StringType:
	default:
		return nil
	}
	switch t.Kind() {
	case parquet.Int64:
		return func(v parquet.Value) (int64, error) { return unixMicros(v.Int64()) }
	case parquet.Int32:
		return func(v parquet.Value) (int64, error) { return unixMicros(int64(v.Int32())) }
	case parquet.Int96:
		return int96Time
	case parquet.ByteArray:
		return func(v parquet.Value) (int64, error) {
			const longest = 64
			text := v.ByteArray()
			return parseTime(string(text[:min(len(text), longest)]))
		}
	}
	return nil
}

func timestampOf(unit time.Duration) func(parquet.Value) (int64, error) {
	if unit < time.Microsecond {
		per := int64(time.Microsecond / unit)
		return func(v parquet.Value) (int64, error) { return floorDiv(v.Int64(), per), nil }
	}
	per := int64(unit / time.Microsecond)
	return func(v parquet.Value) (int64, error) {
		n := v.Int64()
		if n > maxMicros/per || n < minMicros/per {
			return 0, errTimeRange
		}
		return n * per, nil
	}
}

// int96Time reads the form older Spark and Impala write: nanoseconds of the day, then the day by
// the Julian count.
func int96Time(v parquet.Value) (int64, error) {
	const julianOfEpoch = 2_440_588
	raw := v.Int96()
	nanos := int64(raw[1])<<32 | int64(raw[0])
	days := int64(int32(raw[2])) - julianOfEpoch
	if nanos < 0 || nanos >= int64(24*time.Hour) {
		return 0, errors.New("is not a time of day")
	}
	return checkMicros(days*86_400_000_000 + nanos/1000)
}
