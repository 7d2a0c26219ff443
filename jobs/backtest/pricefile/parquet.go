package pricefile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
)

// parquetFile is an open Parquet file with flat columns. Pages may be plain, dictionary, delta or
// byte-stream-split encoded, uncompressed or packed by snappy, gzip or zstd.
type parquetFile struct {
	src     io.ReaderAt
	size    int64
	file    *parquet.File
	leaves  []*parquet.Column
	names   []string
	m       mapping
	opts    Options
	reading *Reading
	table   *table
}

func readParquet(src io.ReaderAt, size int64, opts Options) (bars *backtest.Bars, reading *Reading, err error) {
	reading = &Reading{Format: "parquet", Layout: "plain", Compression: "none", Header: true, PriceScale: 1, Adjusted: "raw"}
	// The guards reject what would allocate without bound; the library panics on some other malformed
	// files, always on this goroutine.
	defer func() {
		if p := recover(); p != nil {
			bars, err = nil, malformed("%v", p)
		}
	}()
	f := &parquetFile{src: src, size: size, opts: opts, reading: reading}
	if err := f.open(); err != nil {
		return nil, reading, err
	}
	if err := f.read(); err != nil {
		return nil, reading, err
	}
	bars, err = f.table.resolve(opts, reading)
	return bars, reading, err
}

func (f *parquetFile) open() error {
	if err := guardFooter(f.src, f.size); err != nil {
		return err
	}
	var err error
	f.file, err = parquet.OpenFile(f.src, f.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return malformed("%v", err)
	}
	if f.file.NumRows() > ohlcv.MaxRows {
		return fileError("the file has more than %d rows", ohlcv.MaxRows)
	}
	for _, c := range f.file.Root().Columns() {
		if c.Leaf() && !c.Repeated() {
			f.leaves, f.names = append(f.leaves, c), append(f.names, c.Name())
		}
	}
	f.unpairNames()
	if f.m, err = mapColumns(f.names, 0, f.opts.Columns, f.onlyClocks); err != nil {
		if len(f.reading.Tickers) > 1 && f.opts.Ticker == "" {
			return askTicker(f.reading.Tickers)
		}
		return err
	}
	f.reading.Layout = findLayout(f.names, true, nil, nil, nil).name
	return nil
}

// unpairNames reads the names that pandas gives to columns of two levels, as in ('Close', 'AAPL').
func (f *parquetFile) unpairNames() {
	for i, name := range f.names {
		inner, ok := strings.CutPrefix(name, "('")
		if !ok || !strings.HasSuffix(name, "')") {
			continue
		}
		first, second, ok := strings.Cut(strings.TrimSuffix(inner, "')"), "', '")
		if !ok {
			continue
		}
		if rankOf(slotClose, normal(first)) < 0 && priceWords([][]byte{[]byte(second)}) > 0 || normal(second) == "volume" {
			first, second = second, first
		}
		f.names[i] = first
		if second != "" && !contains(f.reading.Tickers, second) {
			f.reading.Tickers = append(f.reading.Tickers, second)
		}
		if f.opts.Ticker != "" && !strings.EqualFold(f.opts.Ticker, second) {
			f.names[i] = name
		}
	}
	if len(f.reading.Tickers) == 1 {
		f.reading.Ticker = f.reading.Tickers[0]
	} else if len(f.reading.Tickers) > 1 && f.opts.Ticker == "" {
		for i := range f.names {
			f.names[i] = "several: " + f.names[i]
		}
	}
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// onlyClocks reports whether a column has a type of times of day.
func (f *parquetFile) onlyClocks(column int) bool {
	return isTimeOfDay(f.leaves[column].Type())
}

// read decodes the columns that are mapped.
func (f *parquetFile) read() error {
	t := &table{rows: rowMap{first: 1}, layout: findLayout(f.names, true, nil, nil, nil)}
	f.table = t
	t.spelt, f.reading.Columns, f.reading.Ignored = f.m.spell(f.names, true)
	f.reading.Rows = int(f.file.NumRows())
	var keep []bool
	if f.m[slotTicker] >= 0 {
		var err error
		if keep, err = f.tickers(); err != nil {
			return err
		}
	}
	if err := f.readTimes(); err != nil {
		return err
	}
	for slot := slotOpen; slot <= slotAdjusted; slot++ {
		if f.m[slot] < 0 {
			continue
		}
		leaf := f.leaves[f.m[slot]]
		read := numbersOf(leaf.Type())
		if read == nil {
			return &RowError{Column: t.spelt[slot], Reason: fmt.Sprintf("has type %s, which is not a number", leaf.Type())}
		}
		column := make([]float64, 0, f.file.NumRows())
		err := f.pages(leaf, &column, func(p *pageValues) (err error) {
			column, err = read(column, p)
			return err
		})
		if err != nil {
			return err
		}
		if t.columns[slot] = column; len(column) != int(f.file.NumRows()) {
			return &RowError{Column: t.spelt[slot], Reason: fmt.Sprintf("has %d values for %d rows", len(column), f.file.NumRows())}
		}
	}
	return f.compact(keep)
}

// noTime stands for a time that is null.
const noTime = math.MinInt64

// compact drops the rows that hold no bar. Prices that are null are NaN, as pandas writes them.
func (f *parquetFile) compact(keep []bool) error {
	t, next := f.table, 0
	if len(t.time) != f.reading.Rows {
		return &RowError{Column: t.spelt[slotTime], Reason: fmt.Sprintf("has %d values for %d rows", len(t.time), f.reading.Rows)}
	}
	if keep == nil && f.complete() {
		return nil
	}
	for i := range t.time {
		if keep != nil && !keep[i] {
			continue
		}
		missing := 0
		for slot := slotOpen; slot <= slotClose; slot++ {
			if v := t.columns[slot][i]; v != v {
				missing++
			}
		}
		if missing == 4 {
			f.reading.drop("all prices are empty", i+1)
			continue
		}
		if missing > 0 || t.time[i] == noTime {
			return f.missing(i)
		}
		if volume := t.columns[slotVolume]; volume != nil && volume[i] != volume[i] {
			volume[i] = 0
		}
		if next != i {
			t.time[next] = t.time[i]
			if t.fraction != nil {
				t.fraction[next] = t.fraction[i]
			}
			for slot := range t.columns {
				if t.columns[slot] != nil {
					t.columns[slot][next] = t.columns[slot][i]
				}
			}
		}
		t.rows.add(next, i+1)
		next++
	}
	t.time = t.time[:next]
	for slot := range t.columns {
		if t.columns[slot] != nil {
			t.columns[slot] = t.columns[slot][:next]
		}
	}
	return nil
}

// complete reports whether every row has a time, prices and a volume, if the file has one: no row moves then.
func (f *parquetFile) complete() bool {
	for slot := slotOpen; slot <= slotVolume; slot++ {
		for _, v := range f.table.columns[slot] {
			if v != v {
				return false
			}
		}
	}
	return !slices.Contains(f.table.time, noTime)
}

// missing names the first empty value of a row.
func (f *parquetFile) missing(i int) error {
	for slot := slotOpen; slot <= slotClose; slot++ {
		if v := f.table.columns[slot][i]; v != v {
			return &RowError{Row: i + 1, Column: f.table.spelt[slot], Reason: errNull.Error()}
		}
	}
	return &RowError{Row: i + 1, Column: f.table.spelt[slotTime], Reason: errNull.Error()}
}

// tickers reads the column of instruments and says which rows are of the one to read; nil: all.
func (f *parquetFile) tickers() ([]bool, error) {
	leaf, t := f.leaves[f.m[slotTicker]], f.table
	text := textOf(leaf.Type())
	if text == nil {
		return nil, nil // of no type that names an instrument
	}
	filter := &textFile{opts: f.opts}
	keep := make([]bool, 0, f.file.NumRows())
	dropped := false
	err := f.pages(leaf, nil, func(p *pageValues) error {
		for i := range p.count {
			wanted := filter.wanted(t, text(p, i))
			keep, dropped = append(keep, wanted), dropped || !wanted
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(t.tickers) > 1 && f.opts.Ticker == "" {
		return nil, askTicker(t.tickers)
	}
	if len(keep) != f.reading.Rows {
		return nil, &RowError{Column: t.spelt[slotTicker], Reason: fmt.Sprintf("has %d values for %d rows", len(keep), f.reading.Rows)}
	}
	if !dropped {
		keep = nil
	}
	return keep, nil
}

// pages decodes every page of a column, of floats in the free room of into where there is enough.
func (f *parquetFile) pages(leaf *parquet.Column, into *[]float64, each func(*pageValues) error) error {
	r := newPageReader(f.src, f.size, leaf, f.file.NumRows())
	r.into = into
	defer r.unpack.close()
	for g := range f.file.Metadata().RowGroups {
		chunks := f.file.Metadata().RowGroups[g].Columns
		if leaf.Index() >= len(chunks) {
			return malformed("row group %d lacks column %q", g, clip(leaf.Name()))
		}
		if err := r.chunk(&chunks[leaf.Index()].MetaData, each); err != nil {
			var row *RowError
			var question *QuestionError
			if errors.As(err, &row) || errors.As(err, &question) {
				return err
			}
			return &RowError{Column: clip(leaf.Name()), Reason: fmt.Sprintf("row group %d: %v", g, err)}
		}
	}
	return nil
}
