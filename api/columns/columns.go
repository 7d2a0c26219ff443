// Package columns writes tables: by columns as an Arrow IPC stream or a Parquet file, or as CSV. All take
// batches one after the other, so a table of any length needs the memory of a few.
//
// Times are microseconds since 1970 in UTC, and RFC 3339 in CSV. A value that is undefined is null, or empty
// in CSV; NaN is written as null too, as in JSON. All columns may be null.
package columns

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
)

// Format is a way to write a table.
type Format string

// The formats.
const (
	Arrow   Format = "arrow"   // an IPC stream, its buffers compressed with zstd
	Parquet Format = "parquet" // a file, its pages compressed with snappy
	CSV     Format = "csv"     // with a head
)

// Formats are all of them.
func Formats() []Format { return []Format{CSV, Parquet, Arrow} }

// Media is the media type of a format.
func (f Format) Media() string {
	switch f {
	case Parquet:
		return "application/vnd.apache.parquet"
	case CSV:
		return "text/csv; charset=utf-8"
	}
	return "application/vnd.apache.arrow.stream"
}

// Kind is the type of a column's values.
type Kind int

// The kinds of columns.
const (
	Float Kind = iota // 64 bits
	Int               // 64 bits
	Text              // UTF-8
	Time              // microseconds since 1970, UTC
	Bool
	Word // text of few different values: a dictionary
)

// Field is a column of a table.
type Field struct {
	Name string
	Kind Kind
}

// Writer writes a table. What it has written is whole once Close has returned nil.
type Writer interface {
	Write(*Batch) error
	Close() error
}

// New begins a table.
func New(format Format, fields []Field, to io.Writer) (Writer, error) {
	seen := map[string]bool{}
	for _, field := range fields {
		if seen[field.Name] {
			return nil, fmt.Errorf("columns: %q is there twice", field.Name)
		}
		seen[field.Name] = true
	}
	switch format {
	case Parquet:
		return newParquet(fields, to), nil
	case CSV:
		return &csvWriter{fields: fields, out: csv.NewWriter(to)}, nil
	}
	return newArrow(fields, to)
}

// MaxBatch is the most rows that a batch should have.
const MaxBatch = 1 << 15

// Batch is some rows of a table.
type Batch struct {
	fields []Field
	cols   []column
}

// column holds the values of one column; those that are null are zero.
type column struct {
	ints   []int64
	floats []float64
	texts  []string
	valid  []bool
}

// NewBatch makes an empty batch.
func NewBatch(fields []Field) *Batch {
	return &Batch{fields: fields, cols: make([]column, len(fields))}
}

// Reset empties the batch.
func (b *Batch) Reset() {
	for i := range b.cols {
		c := &b.cols[i]
		c.ints, c.floats, c.texts, c.valid = c.ints[:0], c.floats[:0], c.texts[:0], c.valid[:0]
	}
}

// Rows is how many rows the batch has.
func (b *Batch) Rows() int {
	if len(b.cols) == 0 {
		return 0
	}
	return len(b.cols[0].valid)
}

// Row appends a row. A value is a float64, int, int64, string or bool, a pointer to one, of which nil is
// null, or nil; of a time it is the microseconds.
func (b *Batch) Row(values ...any) { b.RowFrom(0, values...) }

// RowFrom appends the rest of a row, from its k-th column on.
func (b *Batch) RowFrom(k int, values ...any) {
	for i, value := range values {
		b.add(k+i, value)
	}
}

func (b *Batch) add(k int, value any) {
	switch v := value.(type) {
	case float64:
		b.Float(k, v)
	case int:
		b.Int(k, int64(v))
	case int64:
		b.Int(k, v)
	case string:
		b.Text(k, v)
	case bool:
		b.Bool(k, v)
	case *float64:
		b.optional(k, v == nil, func() { b.Float(k, *v) })
	case *int:
		b.optional(k, v == nil, func() { b.Int(k, int64(*v)) })
	case *string:
		b.optional(k, v == nil, func() { b.Text(k, *v) })
	case nil:
		b.Null(k)
	default:
		panic(fmt.Sprintf("columns: %s cannot hold a %T", b.fields[k].Name, value))
	}
}

func (b *Batch) optional(k int, null bool, set func()) {
	if null {
		b.Null(k)
		return
	}
	set()
}

// Float appends a value of the k-th column; one that is not finite is null.
func (b *Batch) Float(k int, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		b.Null(k)
		return
	}
	c := &b.cols[k]
	c.floats, c.valid = append(c.floats, v), append(c.valid, true)
}

// Int appends a value of the k-th column.
func (b *Batch) Int(k int, v int64) {
	c := &b.cols[k]
	c.ints, c.valid = append(c.ints, v), append(c.valid, true)
}

// Text appends a value of the k-th column.
func (b *Batch) Text(k int, v string) {
	c := &b.cols[k]
	c.texts, c.valid = append(c.texts, v), append(c.valid, true)
}

// Bool appends a value of the k-th column.
func (b *Batch) Bool(k int, v bool) {
	n := int64(0)
	if v {
		n = 1
	}
	b.Int(k, n)
}

// Null appends a null to the k-th column.
func (b *Batch) Null(k int) {
	c := &b.cols[k]
	switch b.fields[k].Kind {
	case Float:
		c.floats = append(c.floats, 0)
	case Text, Word:
		c.texts = append(c.texts, "")
	default:
		c.ints = append(c.ints, 0)
	}
	c.valid = append(c.valid, false)
}
