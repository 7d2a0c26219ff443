package ohlcv

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"millrace/jobs/backtest"
)

// maxLine is the longest line that ReadCSV accepts, in bytes: it bounds what a row can allocate.
const maxLine = 64 << 10

// ReadCSV reads bars from comma-, semicolon- or tab-separated text whose first line names the
// columns. A wrong file gives a *RowError; an error of r itself is returned wrapped.
func ReadCSV(r io.Reader) (*backtest.Bars, error) {
	lines := bufio.NewReaderSize(&lineLimit{r: r}, maxLine)
	if bom, _ := lines.Peek(3); bytes.Equal(bom, []byte("\xEF\xBB\xBF")) {
		if _, err := lines.Discard(3); err != nil {
			return nil, fmt.Errorf("read CSV: %w", err)
		}
	}
	in := csv.NewReader(lines)
	in.Comma = delimiter(lines)
	in.ReuseRecord = true
	in.TrimLeadingSpace = in.Comma != '\t'
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, &RowError{Reason: "the file is empty"}
	}
	if err != nil {
		return nil, csvError(in, err)
	}
	m, err := mapColumns(header, 1)
	if err != nil {
		return nil, err
	}
	return readRows(in, m, namesOf(m, header))
}

// namesOf returns the file's spelling of each of our columns.
func namesOf(m mapping, header []string) [colCount]string {
	var names [colCount]string
	for col, i := range m {
		if i >= 0 {
			names[col] = clip(strings.TrimSpace(header[i]))
		}
	}
	return names
}

// delimiter guesses the separator from the line ahead: the one of comma, semicolon and tab that it
// has most of.
func delimiter(lines *bufio.Reader) rune {
	head, _ := lines.Peek(4096)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	best, most := ',', 0
	for _, sep := range [...]rune{',', ';', '\t'} {
		if n := bytes.Count(head, []byte(string(sep))); n > most {
			best, most = sep, n
		}
	}
	return best
}

// readRows reads every row after the header.
func readRows(in *csv.Reader, m mapping, names [colCount]string) (*backtest.Bars, error) {
	var c columns
	var jumps lineMap
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return c.bars(jumps.row, names)
		}
		if err != nil {
			return nil, csvError(in, err)
		}
		line, _ := in.FieldPos(0)
		if c.len() == MaxRows {
			return nil, &RowError{Row: line, Reason: fmt.Sprintf("the file has more than %d rows", MaxRows)}
		}
		jumps.add(c.len(), line)
		t, err := parseTime(record[m[colTime]])
		if err != nil {
			return nil, &RowError{line, names[colTime], clip(record[m[colTime]]), err.Error()}
		}
		c.time = append(c.time, t)
		for col := colOpen; col < colCount; col++ {
			if m[col] < 0 {
				continue
			}
			v, err := parseNumber(record[m[col]], col == colVolume)
			if err != nil {
				return nil, &RowError{line, names[col], clip(record[m[col]]), err.Error()}
			}
			c.prices[col] = append(c.prices[col], v)
		}
	}
}

// parseNumber reads a decimal number. An empty volume is zero.
func parseNumber(s string, volume bool) (float64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		if volume {
			return 0, nil
		}
		return 0, errors.New("is empty")
	}
	for i := range len(s) {
		// ParseFloat would also take hexadecimal, underscores, Inf and NaN.
		if c := s[i]; !isDigit(c) && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, errors.New("is not a number")
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is out of range")
	}
	if err != nil {
		return 0, errors.New("is not a number")
	}
	return v, nil
}

// csvError makes a reader's error a *RowError, unless it came from the source.
func csvError(in *csv.Reader, err error) error {
	var parse *csv.ParseError
	var row *RowError
	switch {
	case errors.As(err, &row):
		return row
	case !errors.As(err, &parse):
		return fmt.Errorf("read CSV: %w", err)
	case errors.Is(err, csv.ErrFieldCount):
		return &RowError{Row: parse.StartLine, Reason: fmt.Sprintf("does not have the %d fields that the header has", in.FieldsPerRecord)}
	}
	return &RowError{Row: parse.Line, Reason: parse.Err.Error()}
}

// lineMap remembers which line each bar stood on. It holds only the bars before which lines were
// skipped (blank, or inside quotes), so it is empty for a plain file.
type lineMap struct{ jumps []lineJump }

type lineJump struct{ bar, line int }

func (m *lineMap) add(bar, line int) {
	if m.row(bar) != line {
		m.jumps = append(m.jumps, lineJump{bar, line})
	}
}

// row is the line of a bar. Bars are added in order, so the last jump at or before it counts.
func (m *lineMap) row(bar int) int {
	for i := len(m.jumps) - 1; i >= 0; i-- {
		if j := m.jumps[i]; j.bar <= bar {
			return j.line + bar - j.bar
		}
	}
	return bar + 2
}

// lineLimit fails once a line is longer than maxLine.
type lineLimit struct {
	r    io.Reader
	line int // lines ended so far
	open int // bytes since the last line's end
}

func (l *lineLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for rest := p[:n]; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			l.open += len(rest)
			break
		}
		if l.open += i; l.open > maxLine {
			break
		}
		l.line, l.open = l.line+1, 0
		rest = rest[i+1:]
	}
	if l.open > maxLine {
		return 0, &RowError{Row: l.line + 1, Reason: fmt.Sprintf("the line is longer than %d bytes", maxLine)}
	}
	return n, err
}

// WriteCSV writes bars as ReadCSV reads them, exactly: times in RFC 3339 and UTC, prices with the
// fewest digits that read back as the same number.
func WriteCSV(w io.Writer, b *backtest.Bars) error {
	out := bufio.NewWriterSize(w, 64<<10)
	line := []byte("time,open,high,low,close,volume\n")
	for i := range b.Len() {
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
		line = time.UnixMicro(b.Time[i]).UTC().AppendFormat(line[:0], time.RFC3339Nano)
		for _, v := range [...]float64{b.Open[i], b.High[i], b.Low[i], b.Close[i], b.Volume[i]} {
			line = append(line, ',')
			line = strconv.AppendFloat(line, v, 'g', -1, 64)
		}
		line = append(line, '\n')
	}
	if _, err := out.Write(line); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}
