package columns

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"time"
)

// csvWriter writes CSV.
type csvWriter struct {
	fields []Field
	out    *csv.Writer
	headed bool
}

// Write implements Writer.
func (w *csvWriter) Write(b *Batch) error {
	if err := w.head(); err != nil {
		return err
	}
	row := make([]string, len(w.fields))
	for i := range b.Rows() {
		for k, field := range w.fields {
			row[k] = b.cols[k].text(field.Kind, i)
		}
		if err := w.out.Write(row); err != nil {
			return fmt.Errorf("write a row: %w", err)
		}
	}
	return w.flush()
}

func (w *csvWriter) head() error {
	if w.headed {
		return nil
	}
	w.headed = true
	row := make([]string, len(w.fields))
	for k, field := range w.fields {
		row[k] = field.Name
	}
	if err := w.out.Write(row); err != nil {
		return fmt.Errorf("write the head: %w", err)
	}
	return nil
}

func (c *column) text(kind Kind, i int) string {
	if !c.valid[i] {
		return ""
	}
	switch kind {
	case Float:
		return strconv.FormatFloat(c.floats[i], 'g', -1, 64)
	case Text, Word:
		return c.texts[i]
	case Time:
		return time.UnixMicro(c.ints[i]).UTC().Format(time.RFC3339Nano)
	case Bool:
		return strconv.FormatBool(c.ints[i] != 0)
	}
	return strconv.FormatInt(c.ints[i], 10)
}

func (w *csvWriter) flush() error {
	w.out.Flush()
	if err := w.out.Error(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// Close implements Writer.
func (w *csvWriter) Close() error {
	if err := w.head(); err != nil {
		return err
	}
	return w.flush()
}
