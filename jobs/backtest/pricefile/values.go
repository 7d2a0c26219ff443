package pricefile

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// numbersOf returns a function that appends a page's values as numbers, nulls as NaN; nil when the type
// holds none.
func numbersOf(t parquet.Type) func([]float64, *pageValues) ([]float64, error) {
	scale, unsigned := 0, 0
	if logical := t.LogicalType(); logical != nil && logical.Value != nil {
		switch l := logical.Value.(type) {
		case *format.DecimalType:
			scale = int(l.Scale)
		case *format.IntType:
			if !l.IsSigned {
				unsigned = int(l.BitWidth)
			}
		default:
			return nil
		}
	}
	var value func(p *pageValues, i int) float64
	switch t.Kind() {
	case parquet.Double, parquet.Float:
		return appendFloats
	case parquet.Int32, parquet.Int64:
		value = func(p *pageValues, i int) float64 {
			switch n := p.ints[i]; {
			case unsigned == 64:
				return float64(uint64(n))
			case unsigned > 0:
				return float64(uint32(n))
			default:
				return float64(n)
			}
		}
	case parquet.FixedLenByteArray, parquet.ByteArray:
		if t.LogicalType() == nil {
			return nil
		}
		if _, ok := t.LogicalType().Value.(*format.DecimalType); !ok {
			return nil
		}
		value = func(p *pageValues, i int) float64 { return wide(p.text(i)) }
	default:
		return nil
	}
	divisor := math.Pow10(scale)
	return func(to []float64, p *pageValues) ([]float64, error) {
		for i := range p.count {
			if len(p.null) > 0 && p.null[i] {
				to = append(to, math.NaN())
				continue
			}
			to = append(to, value(p, i)/divisor)
		}
		return to, nil
	}
}

// appendFloats appends a page that may lie in the free room of to already.
func appendFloats(to []float64, p *pageValues) ([]float64, error) {
	if n := len(to); p.count > 0 && cap(to) >= n+p.count && &to[:n+1][n] == &p.floats[0] {
		to = to[:n+p.count]
	} else {
		to = append(to, p.floats[:p.count]...)
	}
	for i, null := range p.null {
		if null {
			to[len(to)-p.count+i] = math.NaN()
		}
	}
	return to, nil
}

// wide reads a big-endian number of two's complement.
func wide(b []byte) float64 {
	negative := len(b) > 0 && b[0]&0x80 != 0
	var high, low uint64
	if negative {
		high, low = math.MaxUint64, math.MaxUint64
	}
	for _, c := range b {
		high = high<<8 | low>>56
		low = low<<8 | uint64(c)
	}
	if small := int64(low); high == 0 && small >= 0 || high == math.MaxUint64 && small < 0 {
		return float64(small)
	}
	return float64(float64(int64(high))*(1<<64)) + float64(low)
}

// textOf returns a function that reads a value as text; nil when the type cannot name an instrument.
func textOf(t parquet.Type) func(*pageValues, int) []byte {
	switch t.Kind() {
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return (*pageValues).text
	case parquet.Int32, parquet.Int64:
		return func(p *pageValues, i int) []byte { return strconv.AppendInt(nil, p.ints[i], 10) }
	}
	return nil
}

func isTimeOfDay(t parquet.Type) bool {
	if l := t.LogicalType(); l != nil {
		_, ok := l.Value.(*format.TimeType)
		return ok
	}
	return false
}

// readTimes reads the column of times, and adds that of times of day.
func (f *parquetFile) readTimes() error {
	t, leaf := f.table, f.leaves[f.m[slotTime]]
	read, err := f.timesOf(leaf.Type())
	if err != nil {
		return err
	}
	t.time = make([]int64, 0, f.file.NumRows())
	if err := f.pages(leaf, nil, read); err != nil {
		return err
	}
	if f.m[slotClock] < 0 {
		return nil
	}
	clock := f.leaves[f.m[slotClock]]
	at := 0
	unit := int64(1)
	if l, ok := clock.Type().LogicalType().Value.(*format.TimeType); ok && l.Unit.Value != nil {
		unit = int64(l.Unit.Value.Duration())
	}
	t.clock = true
	return f.pages(clock, nil, func(p *pageValues) error {
		for i := range p.count {
			if at < len(t.time) && t.time[at] != noTime {
				t.time[at] += p.ints[i] * unit / 1000
			}
			at++
		}
		return nil
	})
}

// timesOf returns a function that appends a page's values to the table's times.
func (f *parquetFile) timesOf(typ parquet.Type) (func(*pageValues) error, error) {
	t := f.table
	var logical format.LogicalTypeValue
	if l := typ.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.TimestampType:
		if l.Unit.Value == nil || typ.Kind() != parquet.Int64 {
			break
		}
		t.form, t.absolute = formISO, l.IsAdjustedToUTC
		f.reading.TimeFormat = fmt.Sprintf("timestamp in %s", unitName(l.Unit.Value.Duration()))
		return f.eachInt(timestampOf(l.Unit.Value.Duration())), nil
	case *format.DateType:
		t.form = formISO
		f.reading.TimeFormat = "date"
		return f.eachInt(func(n int64) (int64, error) {
			if n > maxMicros/microsDay || n < minMicros/microsDay {
				return 0, errTimeRange
			}
			return n * microsDay, nil
		}), nil
	case nil, *format.IntType:
		switch typ.Kind() {
		case parquet.Int64, parquet.Int32:
			t.form = formNumber
			return f.eachInt(func(n int64) (int64, error) { return n, nil }), nil
		case parquet.Int96:
			t.form, t.absolute = formISO, true
			f.reading.TimeFormat = "INT96"
			return f.eachInt96, nil
		case parquet.Double, parquet.Float:
			t.form = formNumber
			return f.eachFloat, nil
		case parquet.ByteArray:
			return f.eachText(), nil
		}
	case *format.StringType:
		return f.eachText(), nil
	}
	return nil, &RowError{Column: t.spelt[slotTime], Reason: fmt.Sprintf("has type %s, which holds no time", typ)}
}

func unitName(unit time.Duration) string {
	return map[time.Duration]string{time.Millisecond: "ms", time.Microsecond: "us", time.Nanosecond: "ns"}[unit]
}

func timestampOf(unit time.Duration) func(int64) (int64, error) {
	if unit < time.Microsecond {
		per := int64(time.Microsecond / unit)
		return func(n int64) (int64, error) { return floorDiv(n, per), nil }
	}
	per := int64(unit / time.Microsecond)
	return func(n int64) (int64, error) {
		if n > maxMicros/per || n < minMicros/per {
			return 0, errTimeRange
		}
		return n * per, nil
	}
}

func (f *parquetFile) eachInt(convert func(int64) (int64, error)) func(*pageValues) error {
	t := f.table
	return func(p *pageValues) error {
		for i, n := range p.ints[:p.count] {
			if len(p.null) > 0 && p.null[i] {
				t.time = append(t.time, noTime)
				continue
			}
			at, err := convert(n)
			if err != nil {
				return &RowError{len(t.time) + 1, t.spelt[slotTime], strconv.FormatInt(n, 10), err.Error()}
			}
			t.clock = t.clock || at%microsDay != 0
			t.time = append(t.time, at)
		}
		return nil
	}
}

// eachInt96 reads the form that older Spark and Impala write: nanoseconds of the day, then the day by the
// Julian count.
func (f *parquetFile) eachInt96(p *pageValues) error {
	const julianOfEpoch = 2_440_588
	t := f.table
	for i, raw := range p.int96[:p.count] {
		if len(p.null) > 0 && p.null[i] {
			t.time = append(t.time, noTime)
			continue
		}
		nanos := int64(raw[1])<<32 | int64(raw[0])
		at := (int64(int32(raw[2]))-julianOfEpoch)*microsDay + nanos/1000
		if nanos < 0 || nanos >= int64(24*time.Hour) || at < minMicros || at > maxMicros {
			return &RowError{Row: len(t.time) + 1, Column: t.spelt[slotTime], Reason: errTimeRange.Error()}
		}
		t.clock = t.clock || at%microsDay != 0
		t.time = append(t.time, at)
	}
	return nil
}

// eachFloat reads numbers with a fraction, such as serial dates.
func (f *parquetFile) eachFloat(p *pageValues) error {
	t := f.table
	for i, v := range p.floats[:p.count] {
		if len(p.null) > 0 && p.null[i] || v != v {
			t.time, t.fraction = append(t.time, noTime), append(t.fraction, 0)
			continue
		}
		if !(math.Abs(v) < 9e18) {
			return &RowError{Row: len(t.time) + 1, Column: t.spelt[slotTime], Reason: errTimeRange.Error()}
		}
		whole := math.Floor(v)
		t.time, t.fraction = append(t.time, int64(whole)), append(t.fraction, v-whole)
	}
	return nil
}

// eachText reads times as a text file's are read.
func (f *parquetFile) eachText() func(*pageValues) error {
	t := f.table
	text := &textFile{opts: f.opts, m: noColumns(), spelt: t.spelt}
	text.m[slotTime] = 0
	fields := make([][]byte, 1)
	return func(p *pageValues) error {
		for i := range p.count {
			row := t.len() + 1
			fields[0] = trimSpaces(p.text(i))
			if len(p.null) > 0 && p.null[i] || len(fields[0]) == 0 {
				if t.time = append(t.time, noTime); t.fraction != nil {
					t.fraction = append(t.fraction, 0)
				}
				continue
			}
			if text.times.form == formNone {
				if err := text.findTimes([][][]byte{fields}); err != nil {
					return &RowError{row, t.spelt[slotTime], clip(string(fields[0])), "is not a time"}
				}
				t.form, t.order, f.reading.TimeFormat = text.times.form, text.times.order, text.reading.TimeFormat
			}
			if err := text.readTime(t, row, fields, nil); err != nil {
				return err
			}
		}
		return nil
	}
}
