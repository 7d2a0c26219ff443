package columns

import (
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// rowsAGroup is how many rows a row group has, which is what is held until it is written.
const rowsAGroup = 1 << 17

// parquetWriter writes a file.
type parquetWriter struct {
	fields []Field
	out    *parquet.GenericWriter[any]
	values []parquet.Value
	rows   int
}

func newParquet(fields []Field, to io.Writer) *parquetWriter {
	root := ordered{}
	for _, field := range fields {
		root.fields = append(root.fields, named{parquet.Optional(parquetNode(field.Kind)), field.Name})
	}
	return &parquetWriter{fields: fields, out: parquet.NewGenericWriter[any](to, parquet.NewSchema("rows", root),
		parquet.Compression(&parquet.Snappy), parquet.CreatedBy("millrace", "", ""))}
}

func parquetNode(kind Kind) parquet.Node {
	switch kind {
	case Float:
		return parquet.Leaf(parquet.DoubleType)
	case Int:
		return parquet.Int(64)
	case Time:
		return parquet.Timestamp(parquet.Microsecond)
	case Bool:
		return parquet.Leaf(parquet.BooleanType)
	case Word:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	}
	return parquet.String()
}

// ordered is a group whose columns keep their order; the library's own sorts them by name, and makes Go
// types of them, which not every name allows.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (o ordered) Fields() []parquet.Field { return o.fields }

// GoType implements parquet.Node.
func (o ordered) GoType() reflect.Type { return reflect.TypeFor[struct{}]() }

type named struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (n named) Name() string { return n.name }

// Value implements parquet.Field; rows are written by columns, never from Go values.
func (n named) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// Write implements Writer.
func (w *parquetWriter) Write(b *Batch) error {
	for k, to := range w.out.ColumnWriters() {
		w.values = w.values[:0]
		c := &b.cols[k]
		for i, valid := range c.valid {
			if !valid {
				w.values = append(w.values, parquet.NullValue().Level(0, 0, k))
				continue
			}
			w.values = append(w.values, c.value(w.fields[k].Kind, i).Level(0, 1, k))
		}
		if _, err := to.WriteRowValues(w.values); err != nil {
			return fmt.Errorf("write column %q: %w", w.fields[k].Name, err)
		}
	}
	if w.rows += b.Rows(); w.rows >= rowsAGroup {
		w.rows = 0
		if err := w.out.Flush(); err != nil {
			return fmt.Errorf("write a row group: %w", err)
		}
	}
	return nil
}

func (c *column) value(kind Kind, i int) parquet.Value {
	switch kind {
	case Float:
		return parquet.DoubleValue(c.floats[i])
	case Bool:
		return parquet.BooleanValue(c.ints[i] != 0)
	case Text, Word:
		return parquet.ByteArrayValue([]byte(c.texts[i]))
	}
	return parquet.Int64Value(c.ints[i])
}

// Close implements Writer.
func (w *parquetWriter) Close() error {
	if err := w.out.Close(); err != nil {
		return fmt.Errorf("end the parquet file: %w", err)
	}
	return nil
}
