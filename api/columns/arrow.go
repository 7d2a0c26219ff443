package columns

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// arrowWriter writes an IPC stream.
type arrowWriter struct {
	schema  *arrow.Schema
	builder *array.RecordBuilder
	out     *ipc.Writer
}

func newArrow(fields []Field, to io.Writer) (*arrowWriter, error) {
	described := make([]arrow.Field, len(fields))
	for i, field := range fields {
		described[i] = arrow.Field{Name: field.Name, Type: arrowType(field.Kind), Nullable: true}
	}
	schema := arrow.NewSchema(described, nil)
	return &arrowWriter{
		schema: schema, builder: array.NewRecordBuilder(memory.DefaultAllocator, schema),
		out: ipc.NewWriter(to, ipc.WithSchema(schema), ipc.WithZstd()),
	}, nil
}

func arrowType(kind Kind) arrow.DataType {
	switch kind {
	case Float:
		return arrow.PrimitiveTypes.Float64
	case Int:
		return arrow.PrimitiveTypes.Int64
	case Time:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	}
	return arrow.BinaryTypes.String
}

// Write implements Writer.
func (w *arrowWriter) Write(b *Batch) error {
	for k := range b.cols {
		c := &b.cols[k]
		switch to := w.builder.Field(k).(type) {
		case *array.Float64Builder:
			to.AppendValues(c.floats, c.valid)
		case *array.Int64Builder:
			to.AppendValues(c.ints, c.valid)
		case *array.StringBuilder:
			to.AppendValues(c.texts, c.valid)
		case *array.TimestampBuilder:
			for i, v := range c.ints {
				if c.valid[i] {
					to.Append(arrow.Timestamp(v))
				} else {
					to.AppendNull()
				}
			}
		case *array.BooleanBuilder:
			for i, v := range c.ints {
				if c.valid[i] {
					to.Append(v != 0)
				} else {
					to.AppendNull()
				}
			}
		default:
			return fmt.Errorf("columns: %T has no values", to)
		}
	}
	record := w.builder.NewRecordBatch()
	defer record.Release()
	if err := w.out.Write(record); err != nil {
		return fmt.Errorf("write an arrow batch: %w", err)
	}
	return nil
}

// Close implements Writer. A stream without a batch still has its schema.
func (w *arrowWriter) Close() error {
	w.builder.Release()
	if err := w.out.Close(); err != nil {
		return fmt.Errorf("end the arrow stream: %w", err)
	}
	return nil
}
