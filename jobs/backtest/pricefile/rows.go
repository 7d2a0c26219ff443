package pricefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"millrace/jobs/backtest/ohlcv"
)

// table is what is read of a file: the times as they are written and the columns of numbers.
type table struct {
	form     form
	order    string    // of day and month, when it is known; else formDay's times are packed
	time     []int64   // see moment
	fraction []float64 // of formNumber; nil where all are whole
	clock    bool      // some time is not midnight
	absolute bool      // times had offsets
	zone     string    // that the file names
	columns  [slotCount][]float64
	rows     rowMap
	spelt    [slotCount]string
	layout   layout
	tickers  []string
	text     bool // of a text file
}

func (t *table) len() int { return len(t.time) }

// readText reads every row of a text.
func (f *textFile) readText(size int64) (*table, error) {
	t := &table{form: f.times.form, order: f.times.order, spelt: f.spelt, layout: f.layout, text: true, rows: rowMap{first: f.first}}
	t.reserve(f.estimate(size), &f.m)
	width := 0
	for {
		line, err := f.lines.next()
		if errors.Is(err, io.EOF) {
			return f.finish(t), nil
		}
		if err != nil {
			return nil, err
		}
		row := f.lines.row
		if row < f.first || len(line) == 0 || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		fields, err := f.split.split(line)
		if err != nil {
			return nil, &RowError{Row: row, Reason: err.Error()}
		}
		if width == 0 {
			width = max(len(f.names), len(fields))
		}
		if n := len(fields); n != width && (n < len(f.names) || n > width || !empty(fields[len(f.names):])) {
			if f.lines.ended() && n < leastFields && t.len() > 0 {
				f.reading.drop("a last line that is not a row", row)
				return f.finish(t), nil
			}
			return nil, &RowError{Row: row, Reason: fmt.Sprintf("has %d fields, and the rows before it %d: the file mixes layouts, or a field holds the delimiter", n, len(f.names))}
		}
		if err := f.readRow(t, row, fields, line); err != nil {
			return nil, err
		}
	}
}

// finish says what the times of the table are.
func (f *textFile) finish(t *table) *table {
	if t.form == formNumber && f.m[slotClock] >= 0 {
		t.form = formCompact // addClock made days of the numbers
		f.reading.TimeFormat = "YYYYMMDD and a time of day"
	}
	return t
}

// estimate is about how many rows the text has.
func (f *textFile) estimate(size int64) int {
	head := f.lines.head()
	rows := bytes.Count(head, []byte{f.lines.eol})
	if rows == 0 || f.reading.Compression != "none" || f.reading.Encoding != "utf-8" {
		return 0
	}
	return int(min(size*int64(rows)/int64(len(head))*101/100, ohlcv.MaxRows)) + 16
}

func (t *table) reserve(rows int, m *mapping) {
	t.time = make([]int64, 0, rows)
	for slot := slotOpen; slot <= slotAdjusted; slot++ {
		if m[slot] >= 0 {
			t.columns[slot] = make([]float64, 0, rows)
		}
	}
}

// readRow appends a row to the table, unless it holds no bar.
func (f *textFile) readRow(t *table, row int, fields [][]byte, line []byte) error {
	f.reading.Rows++
	if f.m[slotTicker] >= 0 && !f.wanted(t, fields[f.m[slotTicker]]) {
		return nil
	}
	if t.len() == ohlcv.MaxRows {
		return &RowError{Row: row, Reason: fmt.Sprintf("the file has more than %d rows", ohlcv.MaxRows)}
	}
	if isNull(fields[f.m[slotOpen]]) && isNull(fields[f.m[slotHigh]]) && isNull(fields[f.m[slotLow]]) && isNull(fields[f.m[slotClose]]) {
		f.reading.drop("all prices are empty", row)
		return nil
	}
	if err := f.readTime(t, row, fields, line); err != nil {
		return err
	}
	for slot := slotOpen; slot <= slotAdjusted; slot++ {
		if f.m[slot] < 0 {
			continue
		}
		field := fields[f.m[slot]]
		v, err := f.numbers.parse(field)
		if err != nil {
			if slot != slotVolume || !errors.Is(err, errNull) {
				return f.rowError(row, slot, field, err, line)
			}
			v = 0
		}
		t.columns[slot] = append(t.columns[slot], v)
	}
	t.rows.add(t.len()-1, row)
	return nil
}

// rowError says what is wrong with a field, or that the whole line is the header again.
func (f *textFile) rowError(row, slot int, field []byte, err error, line []byte) error {
	if f.header != nil && bytes.Equal(line, f.header) {
		return &RowError{Row: row, Reason: "is the header again: files were joined, of one instrument or of several; send them apart"}
	}
	if slot == slotTime && errors.Is(err, errTimeFormat) && formOf(field) != formNone && formOf(field) != f.times.form {
		return &RowError{row, f.spelt[slot], clip(string(field)), "is a time of another form than the rows before it: the file mixes layouts"}
	}
	return &RowError{row, f.spelt[slot], clip(string(field)), err.Error()}
}

func (f *textFile) readTime(t *table, row int, fields [][]byte, line []byte) error {
	field := fields[f.m[slotTime]]
	m, err := f.times.parse(field)
	if err == nil && f.m[slotClock] >= 0 {
		err = f.addClock(&m, fields[f.m[slotClock]])
		field = fields[f.m[slotClock]]
	}
	if err != nil {
		if len(field) == 0 {
			err = errNull
		}
		return f.rowError(row, slotTime, field, err, line)
	}
	if t.len() == 0 {
		t.absolute, t.zone = m.absolute, m.zone
	} else if t.absolute != m.absolute || t.zone != m.zone {
		if m.absolute || t.absolute || m.zone == "" || t.zone == "" {
			return &RowError{row, f.spelt[slotTime], clip(string(field)), "has an offset or zone and others have none"}
		}
		return ask("time_zone", row, nil, "the file names two zones, %q and %q", clip(t.zone), clip(m.zone))
	}
	t.clock = t.clock || m.clock && m.at%microsDay != 0
	if m.fraction != 0 && t.fraction == nil {
		t.fraction = make([]float64, t.len(), cap(t.time))
	}
	if t.fraction != nil {
		t.fraction = append(t.fraction, m.fraction)
	}
	t.time = append(t.time, m.at)
	return nil
}

// addClock adds the time of day of a column of its own. A date that is a number becomes a day.
func (f *textFile) addClock(m *moment, field []byte) error {
	clock, after, err := parseClock(field)
	if err != nil {
		return err
	}
	if f.times.form == formNumber {
		if m.at, err = compactDay(m.at); err != nil {
			return err
		}
	}
	m.at, m.clock = m.at+clock, true
	if len(after) == 0 {
		return nil
	}
	offset, absolute, zone, err := parseZone(bytes.TrimLeft(after, " "))
	m.at, m.absolute, m.zone = m.at-offset, absolute, zone
	return err
}

// compactDay reads YYYYMMDD or YYMMDD as a day.
func compactDay(n int64) (int64, error) {
	year := int(n / 10_000)
	if n < 1_000_000 {
		year = century(year)
	}
	return midnight(year, int(n/100%100), int(n%100))
}

// wanted reports whether a row is of the instrument to read, and keeps the names of all.
func (f *textFile) wanted(t *table, field []byte) bool {
	if n := len(t.tickers); n == 0 || !bytes.Equal([]byte(t.tickers[n-1]), field) {
		const most = 1000
		if name := clip(string(field)); !slices.Contains(t.tickers, name) && n < most {
			t.tickers = append(t.tickers, name)
		} else if n > 1 && slices.Contains(t.tickers, name) { // the one lately seen stands last
			i := slices.Index(t.tickers, name)
			t.tickers[i], t.tickers[n-1] = t.tickers[n-1], t.tickers[i]
		}
	}
	if f.opts.Ticker != "" {
		return bytes.EqualFold([]byte(f.opts.Ticker), field)
	}
	return len(t.tickers) == 1
}

// rowMap remembers which row of the file each bar is from. It holds only the bars before which rows were
// skipped, so it is empty for a plain file.
type rowMap struct {
	first int // row of bar 0 where nothing was skipped
	jumps []rowJump
	bars  int   // when positive, bars stand in the other order
	order []int // when rows were sorted: the place of each bar before
}

type rowJump struct{ bar, row int }

func (m *rowMap) add(bar, row int) {
	want := m.first + bar
	if n := len(m.jumps); n > 0 {
		want = m.jumps[n-1].row + bar - m.jumps[n-1].bar
	}
	if row != want {
		m.jumps = append(m.jumps, rowJump{bar, row})
	}
}

// reversed says that the bars stand in the other order now.
func (m *rowMap) reversed(bars int) { m.bars = bars }

// sorted says which place each bar had before.
func (m *rowMap) sorted(order []int) { m.order = order }

// row is the row of a bar.
func (m *rowMap) row(bar int) int {
	if m.order != nil {
		bar = m.order[bar]
	}
	if m.bars > 0 {
		bar = m.bars - 1 - bar
	}
	i, found := slices.BinarySearchFunc(m.jumps, bar, func(j rowJump, b int) int { return j.bar - b })
	if !found {
		i--
	}
	if i < 0 {
		return m.first + bar
	}
	return m.jumps[i].row + bar - m.jumps[i].bar
}
