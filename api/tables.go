package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/columns"
)

// formatJSON is the form of an answer that names no other.
const formatJSON columns.Format = "json"

// formats are what format= may say.
func formats() []columns.Format { return append([]columns.Format{formatJSON}, columns.Formats()...) }

// wantedFormat reads in which form a table is wanted: format= says it, or else the first media type of
// Accept that is one of them; JSON without either.
func wantedFormat(c echo.Context) (columns.Format, error) {
	if named := columns.Format(c.QueryParam("format")); named != "" {
		if !slices.Contains(formats(), named) {
			return "", badQuery("format", fmt.Sprintf("%q is not a format", named), formats())
		}
		return named, nil
	}
	for _, header := range c.Request().Header.Values(echo.HeaderAccept) {
		for accepted := range strings.SplitSeq(header, ",") {
			media, _, err := mime.ParseMediaType(accepted)
			if err != nil {
				continue
			}
			for _, format := range columns.Formats() {
				if own, _, _ := mime.ParseMediaType(format.Media()); own == media {
					return format, nil
				}
			}
			if media == "application/json" {
				return formatJSON, nil
			}
		}
	}
	return formatJSON, nil
}

// table is what fills one: its fields, and the rows that its writer is given one by one.
type table struct {
	fields []columns.Field
	fill   func(*tableWriter) error
}

// tableWriter takes rows and writes them in batches.
type tableWriter struct {
	*columns.Batch
	out columns.Writer
}

// Add appends a row.
func (w *tableWriter) Add(values ...any) error {
	w.Row(values...)
	return w.full()
}

// full writes the batch once it is full.
func (w *tableWriter) full() error {
	if w.Rows() < columns.MaxBatch {
		return nil
	}
	return w.write()
}

func (w *tableWriter) write() error {
	if w.Rows() == 0 {
		return nil
	}
	defer w.Reset()
	return w.out.Write(w.Batch)
}

func (t table) writeTo(format columns.Format, to io.Writer) error {
	out, err := columns.New(format, t.fields, to)
	if err != nil {
		return err
	}
	w := &tableWriter{columns.NewBatch(t.fields), out}
	if err := t.fill(w); err != nil {
		return err
	}
	if err := w.write(); err != nil {
		return err
	}
	return out.Close()
}

// writeTable answers with a table: CSV and Arrow as they are made, and a Parquet file from the disk, as
// its readers begin with its end and take the parts that they need.
func (s *Server) writeTable(c echo.Context, format columns.Format, t table) error {
	if format == columns.Parquet {
		return s.writeParquet(c, t)
	}
	if c.Request().Method == http.MethodHead {
		c.Response().Header().Set(echo.HeaderContentType, format.Media())
		return c.NoContent(http.StatusOK)
	}
	err := t.writeTo(format, &lateBody{c, format.Media()})
	if err != nil && c.Response().Committed {
		s.opts.Logger.ErrorContext(c.Request().Context(), "a table was cut short", "route", routeOf(c), "error", err)
		_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Unix(1, 0)) // or the client takes it for the end
	}
	return err
}

// lateBody sends the status with the first byte, so that what fails before is answered as an error.
type lateBody struct {
	c     echo.Context
	media string
}

// Write implements io.Writer.
func (b *lateBody) Write(data []byte) (int, error) {
	if out := b.c.Response(); !out.Committed {
		out.Header().Set(echo.HeaderContentType, b.media)
		out.WriteHeader(http.StatusOK)
	}
	return b.c.Response().Write(data)
}

// writeParquet makes the file on the disk, and serves it, or the part of it that is asked for.
func (s *Server) writeParquet(c echo.Context, t table) (err error) {
	disk, err := os.CreateTemp("", "millrace-table-*")
	if err != nil {
		return fmt.Errorf("make a file for a table: %w", err)
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	if err := os.Remove(disk.Name()); err != nil { // it is gone with its last reader, however this ends
		return fmt.Errorf("unlink a table's file: %w", err)
	}
	sum := sha256.New()
	if err := t.writeTo(columns.Parquet, io.MultiWriter(disk, sum)); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, columns.Parquet.Media())
	h.Set("ETag", `"`+hex.EncodeToString(sum.Sum(nil)[:16])+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, disk)
	return nil
}

// paramFields are the columns of parameters, which may have the name of another column.
func paramFields(names []string, others ...columns.Field) []columns.Field {
	fields := make([]columns.Field, len(names))
	for i, name := range names {
		for slices.ContainsFunc(others, func(f columns.Field) bool { return f.Name == name }) {
			name = "param." + name
		}
		fields[i] = columns.Field{Name: name, Kind: columns.Float}
	}
	return fields
}
