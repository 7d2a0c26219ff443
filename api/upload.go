package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/invalid"
	"millrace/store/market"
)

// spooled is an uploaded file: in memory when it is small, else in a temporary file without a name.
type spooled struct {
	io.ReaderAt
	size int64
	disk *os.File
}

// inMemory is the most bytes of an upload that are kept in memory.
const inMemory = 8 << 20

// spool takes the file in as it comes.
func spool(from io.Reader) (*spooled, error) {
	var head bytes.Buffer
	n, err := io.CopyN(&head, from, inMemory+1)
	if errors.Is(err, io.EOF) {
		return &spooled{ReaderAt: bytes.NewReader(head.Bytes()), size: n}, nil
	}
	if err != nil {
		return nil, bodyError(err)
	}
	disk, err := os.CreateTemp("", "millrace-upload-*")
	if err != nil {
		return nil, fmt.Errorf("temporary file of an upload: %w", err)
	}
	s := &spooled{ReaderAt: disk, disk: disk}
	if err := os.Remove(disk.Name()); err != nil { // the open file stays until it is closed
		s.close()
		return nil, fmt.Errorf("temporary file of an upload: %w", err)
	}
	if s.size, err = head.WriteTo(disk); err == nil {
		var more int64
		more, err = io.Copy(disk, from)
		s.size += more
	}
	if err != nil {
		s.close()
		var written *os.PathError
		if errors.As(err, &written) {
			return nil, fmt.Errorf("temporary file of an upload: %w", err)
		}
		return nil, bodyError(err)
	}
	return s, nil
}

func (s *spooled) close() {
	if s != nil && s.disk != nil {
		_ = s.disk.Close() // it goes with its content
	}
}

// upload is the form of a dataset.
type upload struct {
	file     *spooled
	meta     market.Dataset // name, symbol and what is stated of the instrument
	calendar backtest.Calendar
	options  pricefile.Options
}

// maxField is the most bytes of a text field.
const maxField = 4096

// readUpload reads the parts of the form. The caller closes the file.
func readUpload(c echo.Context, stored bool) (*upload, error) {
	up, values, err := readForm(c, uploadFields())
	if err != nil {
		return nil, err
	}
	if faults := up.fields(values, stored); len(faults) > 0 {
		up.file.close()
		return nil, fieldProblems(faults)
	}
	return up, nil
}

// readForm reads a file and texts of those names; the order of parts is free. The caller closes the file.
func readForm(c echo.Context, names []string) (*upload, map[string]string, error) {
	parts, err := c.Request().MultipartReader()
	if err != nil {
		return nil, nil, problem(http.StatusBadRequest, "Send multipart/form-data with the part file and, to store it, name and symbol.",
			invalid.FieldError{Field: "file", Message: "is required: a part of multipart/form-data"})
	}
	up := &upload{options: pricefile.Options{Now: time.Now()}}
	values := map[string]string{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && part.FormName() == "file" && up.file == nil {
			up.file, err = spool(part)
		} else if err == nil {
			err = readField(part, names, values)
		} else {
			err = bodyError(err)
		}
		if err != nil {
			up.file.close()
			return nil, nil, err
		}
	}
	return up, values, nil
}

// fields reads the fields and names all that are wrong.
func (up *upload) fields(values map[string]string, stored bool) (faults []invalid.FieldError) {
	text := func(field string, limit int) string {
		value := strings.TrimSpace(values[field])
		if (value == "" && stored) || len([]rune(value)) > limit || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			faults = append(faults, invalid.FieldError{Field: field, Message: fmt.Sprintf("is required: 1 to %d characters on one line", limit), Limit: limit})
		}
		return value
	}
	up.meta.Name, up.meta.Symbol = text("name", 100), text("symbol", 40)
	if given := strings.TrimSpace(values["timeframe"]); given != "" {
		tf, ok := backtest.ParseTimeframe(given)
		if !ok {
			faults = append(faults, invalid.FieldError{Field: "timeframe", Message: fmt.Sprintf("%q is unknown: leave it out to have it found in the bars", given), Limit: backtest.Timeframes()})
		}
		up.options.Timeframe = tf
	}
	if given := strings.TrimSpace(values["calendar"]); given != "" {
		days, err := strconv.Atoi(given)
		if up.calendar = backtest.Calendar(days); err != nil || !known(up.calendar) {
			faults = append(faults, invalid.FieldError{Field: "calendar", Message: "must be 252, 260 or 365", Limit: backtest.Calendars()})
		}
	}
	if _, _, ok := market.SplitVersion(up.meta.Name); ok && stored {
		faults = append(faults, invalid.FieldError{Field: "name", Message: "must not end in @ and a number, as versions do: append to a dataset by POST /datasets/{id}/bars"})
	}
	faults = append(faults, up.reading(values)...)
	return append(faults, up.instrument(values)...)
}

// reading reads how the file is to be read.
func (up *upload) reading(values map[string]string) (faults []invalid.FieldError) {
	for _, name := range pricefile.OptionNames() {
		if fault := up.options.Set(name, values[name]); fault != nil {
			faults = append(faults, *fault)
		}
	}
	if up.file == nil || up.file.size == 0 {
		faults = append(faults, invalid.FieldError{Field: "file", Message: "is required: a CSV or Parquet file that is not empty"})
	}
	return faults
}

func known(calendar backtest.Calendar) bool {
	for _, c := range backtest.Calendars() {
		if c == calendar {
			return true
		}
	}
	return false
}

// instrument reads what is stated of the instrument.
func (up *upload) instrument(values map[string]string) (faults []invalid.FieldError) {
	in := &up.meta.Instrument
	in.TimeZone, in.Session, in.Currency = up.options.TimeZone, strings.TrimSpace(values["session"]), strings.ToUpper(strings.TrimSpace(values["currency"]))
	for field, into := range map[string]*float64{
		"periods_per_year": &in.PeriodsPerYear, "tick_size": &in.TickSize, "quantity_step": &in.QuantityStep, "point_value": &in.PointValue,
	} {
		given := strings.TrimSpace(values[field])
		if given == "" {
			continue
		}
		v, err := strconv.ParseFloat(given, 64)
		if err != nil || !(v > 0) {
			faults = append(faults, invalid.FieldError{Field: field, Message: "must be a positive number"})
			continue
		}
		*into = v
	}
	return append(faults, in.Validate()...)
}

// uploadFields are the texts of the form.
func uploadFields() []string {
	return append([]string{"name", "symbol", "timeframe", "calendar", "periods_per_year", "session", "tick_size", "quantity_step", "point_value", "currency"},
		pricefile.OptionNames()...)
}

func readField(part *multipart.Part, names []string, into map[string]string) error {
	name := part.FormName()
	if !slices.Contains(names, name) {
		return problem(http.StatusBadRequest, "The form is not valid.",
			invalid.FieldError{Field: name, Message: "is not a part of this request"})
	}
	value, err := io.ReadAll(io.LimitReader(part, maxField+1))
	if err != nil {
		return bodyError(err)
	}
	if len(value) > maxField {
		return badForm(name, fmt.Sprintf("has over %d bytes", maxField))
	}
	if bad := badText(string(value)); bad != "" {
		return badForm(name, bad)
	}
	into[name] = string(value)
	return nil
}

// readBars reads the bars, when a place is free: each may need as much memory as its bars.
func (s *Server) readBars(ctx context.Context, up *upload) (*backtest.Bars, *pricefile.Reading, error) {
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("wait for a place to read a file: %w", ctx.Err())
	}
	return pricefile.Read(&whileWanted{ctx, up.file}, up.file.size, up.options)
}

// whileWanted gives up reading when nobody waits for the answer.
type whileWanted struct {
	ctx context.Context
	r   io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (w *whileWanted) ReadAt(into []byte, at int64) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.ReadAt(into, at)
}

// barsProblem names the row and column of a file that could not be read, or what only its owner knows.
func barsProblem(err error) error {
	var row *pricefile.RowError
	var asked *pricefile.QuestionError
	switch {
	case errors.As(err, &asked):
		var fields []invalid.FieldError
		for _, q := range asked.Questions {
			field := invalid.FieldError{Field: q.Option, Message: q.Reason}
			if q.Row > 0 {
				field.Message = fmt.Sprintf("row %d: %s", q.Row, q.Reason)
			}
			if len(q.Choices) > 0 {
				field.Limit = q.Choices
			}
			fields = append(fields, field)
		}
		return problem(http.StatusUnprocessableEntity, "The file leaves a question open: send it again with the option that answers it.", fields...)
	case errors.As(err, &row):
		return problem(http.StatusUnprocessableEntity, "The file is not a valid set of bars.",
			invalid.FieldError{Field: rowField(row), Message: err.Error()})
	}
	return err
}

// rowField is where in a file the error is, as far as it is of one row or column.
func rowField(e *pricefile.RowError) string {
	field := "file"
	if e.Row > 0 {
		field += fmt.Sprintf(".row[%d]", e.Row)
	}
	if e.Column != "" {
		field += "." + e.Column
	}
	return field
}
