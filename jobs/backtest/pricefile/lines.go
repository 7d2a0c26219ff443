package pricefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line, in bytes: it bounds what a row can allocate.
const maxLine = 64 << 10

// lines cuts a text into lines, without copying them.
type lines struct {
	r       io.Reader
	buf     []byte
	at, end int // of what is read and not returned
	err     error
	row     int // of the line last returned, from 1
	eol     byte
}

func newLines(r io.Reader) *lines { return &lines{r: r, buf: make([]byte, 512<<10), eol: '\n'} }

// fill reads until so many bytes are there, or the text's end.
func (l *lines) fill(want int) {
	if l.at > 0 && l.at+want > len(l.buf) {
		copy(l.buf, l.buf[l.at:l.end])
		l.at, l.end = 0, l.end-l.at
	}
	for idle := 0; l.end-l.at < want && l.err == nil && l.end < len(l.buf); {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		l.err = err
		if idle++; n > 0 {
			idle = 0
		}
		if idle > 100 {
			l.err = io.ErrNoProgress
		}
	}
}

// Read implements io.Reader with what is not returned as lines.
func (l *lines) Read(into []byte) (int, error) {
	if l.at == l.end {
		l.at, l.end = 0, 0
		l.fill(1)
	}
	if l.at == l.end {
		return 0, l.err
	}
	n := copy(into, l.buf[l.at:l.end])
	l.at += n
	return n, nil
}

// head is the beginning of the text, which stays to be read.
func (l *lines) head() []byte {
	const most = 2 * maxLine
	l.fill(most)
	return l.buf[l.at:min(l.end, l.at+most)]
}

// next returns the next line without its end, valid until the next call. The error is io.EOF after the
// last one.
func (l *lines) next() ([]byte, error) {
	at := bytes.IndexByte(l.buf[l.at:l.end], l.eol)
	if at < 0 {
		l.fill(len(l.buf))
		at = bytes.IndexByte(l.buf[l.at:l.end], l.eol)
	}
	l.row++
	if at > maxLine || at < 0 && l.end-l.at > maxLine {
		return nil, &RowError{Row: l.row, Reason: fmt.Sprintf("the line is longer than %d bytes", maxLine)}
	}
	if at < 0 {
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return nil, l.err
		}
		if l.at == l.end {
			return nil, io.EOF
		}
		line := l.buf[l.at:l.end]
		l.at = l.end
		return l.trim(line), nil
	}
	line := l.buf[l.at : l.at+at]
	l.at += at + 1
	return l.trim(line), nil
}

func (l *lines) trim(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// ended reports whether nothing but blank lines follows.
func (l *lines) ended() bool {
	l.fill(maxLine)
	return l.end-l.at < maxLine && errors.Is(l.err, io.EOF) && len(bytes.TrimSpace(l.buf[l.at:l.end])) == 0
}

// splitter cuts a line into fields.
type splitter struct {
	delimiter byte
	fields    [][]byte
}

// split returns the fields of the line, without quotes and the spaces around them, valid until the next
// call. Several spaces delimit as one.
func (s *splitter) split(line []byte) ([][]byte, error) {
	s.fields = s.fields[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		return s.quoted(line)
	}
	if s.delimiter == ' ' {
		s.fields = append(s.fields, bytes.Fields(line)...)
		return s.fields, nil
	}
	from := 0
	for i, c := range line {
		if c == s.delimiter {
			s.fields = append(s.fields, trimSpaces(line[from:i]))
			from = i + 1
		}
	}
	s.fields = append(s.fields, trimSpaces(line[from:]))
	return s.fields, nil
}

func trimSpaces(field []byte) []byte {
	for len(field) > 0 && (field[0] == ' ' || field[0] == '\t') {
		field = field[1:]
	}
	for len(field) > 0 && (field[len(field)-1] == ' ' || field[len(field)-1] == '\t') {
		field = field[:len(field)-1]
	}
	return field
}

var errQuote = errors.New("a quote is not closed, or stands inside a field")

// quoted splits a line with quotes in it. A field with a quoted quote is copied.
func (s *splitter) quoted(line []byte) ([][]byte, error) {
	for at := 0; ; at++ {
		for at < len(line) && line[at] == ' ' {
			at++
		}
		if at < len(line) && line[at] == '"' {
			field, used, err := unquote(line[at:])
			if err != nil {
				return nil, err
			}
			s.fields = append(s.fields, trimSpaces(field))
			at += used
			for at < len(line) && line[at] == ' ' && s.delimiter != ' ' {
				at++
			}
			if at < len(line) && line[at] != s.delimiter {
				return nil, errQuote
			}
		} else {
			to := bytes.IndexByte(line[at:], s.delimiter)
			if to < 0 {
				to = len(line) - at
			}
			if bytes.IndexByte(line[at:at+to], '"') >= 0 {
				return nil, errQuote
			}
			s.fields = append(s.fields, trimSpaces(line[at:at+to]))
			at += to
		}
		if at >= len(line) {
			return s.fields, nil
		}
	}
}

// unquote reads the quoted field at the start of line and says how many bytes it took.
func unquote(line []byte) (field []byte, used int, err error) {
	end := bytes.IndexByte(line[1:], '"')
	if end < 0 {
		return nil, 0, errQuote
	}
	field, used = line[1:1+end], end+2
	for used < len(line) && line[used] == '"' { // a quoted quote
		end = bytes.IndexByte(line[used+1:], '"')
		if end < 0 {
			return nil, 0, errQuote
		}
		field = append(append(bytes.Clone(field), '"'), line[used+1:used+1+end]...)
		used += end + 2
	}
	return field, used, nil
}
