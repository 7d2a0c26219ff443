package pricefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// textFile is a text whose form is known and whose rows are to be read.
type textFile struct {
	lines   *lines
	split   splitter
	reading Reading
	opts    Options
	names   []string // of the columns; empty texts where the file has no header
	header  []byte   // its line, to find it again among the rows
	first   int      // line of the first row of data
	m       mapping
	spelt   [slotCount]string
	numbers numbers
	times   timeParser
	layout  layout
}

// lookedAt is the most lines of the head that the form is found in.
const lookedAt = 400

// openText finds the form of a text in its head.
func openText(r io.Reader, opts Options, compression string) (*textFile, error) {
	f := &textFile{lines: newLines(r), opts: opts, reading: Reading{Format: "csv", Compression: compression, PriceScale: 1, Adjusted: "raw"}}
	return f, f.open()
}

func (f *textFile) open() error {
	head := f.lines.head()
	if len(bytes.TrimSpace(head)) == 0 {
		if err := f.lines.err; err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return fileError("the file is empty")
	}
	encoding, mark, order := encodingOf(head)
	f.reading.Encoding = encoding
	f.lines.at += mark
	if order != nil {
		f.lines = newLines(&utf16Reader{r: f.lines, order: order})
	}
	head = f.lines.head()
	if err := refuse(head); err != nil {
		return err
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 {
		f.lines.eol = '\r'
	}
	if len(head) > maxLine && bytes.IndexByte(head[:maxLine], f.lines.eol) < 0 {
		return &RowError{Row: 1, Reason: fmt.Sprintf("the line is longer than %d bytes", maxLine)}
	}
	rows := cut(head, f.lines.eol)
	if err := f.findDelimiter(rows); err != nil {
		return err
	}
	return f.findHeader(rows)
}

// refuse names what is not a table at all.
func refuse(head []byte) error {
	start := bytes.ToLower(bytes.TrimSpace(head[:min(len(head), 256)]))
	switch {
	case bytes.HasPrefix(start, []byte("<!doctype")), bytes.HasPrefix(start, []byte("<html")), bytes.HasPrefix(start, []byte("<head")):
		return fileError("the file is an HTML page, probably an error of the vendor saved as CSV: open it in a browser to read it")
	case bytes.HasPrefix(start, []byte("<?xml")):
		return fileError("the file is XML: export it as CSV")
	case bytes.HasPrefix(start, []byte("{")), bytes.HasPrefix(start, []byte("[")):
		return fileError("the file is JSON, probably an answer of the vendor's service: export it as CSV")
	case bytes.HasPrefix(start, []byte("%pdf")):
		return fileError("the file is a PDF: export it as CSV")
	case bytes.IndexByte(head, 0) >= 0:
		return fileError("the file is not text: send CSV, or Parquet")
	}
	return nil
}

// cut returns the first whole lines of the head.
func cut(head []byte, eol byte) [][]byte {
	var rows [][]byte
	for len(rows) < lookedAt && len(head) > 0 {
		line, after, ok := bytes.Cut(head, []byte{eol})
		if !ok && len(rows) > 0 && len(line) > maxLine/2 {
			break // may go on beyond the head
		}
		rows = append(rows, bytes.TrimSuffix(line, []byte("\r")))
		head = after
	}
	return rows
}

var delimiterNames = map[byte]string{',': "comma", ';': "semicolon", '\t': "tab", '|': "pipe", ' ': "space"}

// leastFields are those of a row: its time and four prices.
const leastFields = 5

// findDelimiter takes the delimiter that gives most rows the same number of fields, and enough of them.
func (f *textFile) findDelimiter(rows [][]byte) error {
	for _, delimiter := range []byte{'\t', ';', '|', ',', ' '} {
		f.split.delimiter = delimiter
		counts := map[int]int{}
		total := 0
		for _, row := range rows {
			if len(bytes.TrimSpace(row)) == 0 {
				continue
			}
			total++
			if fields, err := f.split.split(row); err == nil && len(fields) >= leastFields {
				counts[len(fields)]++
			}
		}
		best := 0
		for _, n := range counts {
			best = max(best, n)
		}
		if best > 0 && 2*best >= total-min(3, total/2) { // lines may stand before the header, or after the rows
			f.reading.Delimiter = delimiterNames[delimiter]
			return nil
		}
	}
	f.split.delimiter = ','
	for _, row := range rows {
		if fields, err := f.split.split(row); err == nil && priceWords(fields) >= 2 {
			names := texts(fields)
			return ask("columns", 1, nil, "missing columns: the file has %s, and bars need time, open, high, low and close", listNames(names))
		}
	}
	return fileError("the file is not a table of prices: no comma, semicolon, tab, pipe or space gives its lines %d fields", leastFields)
}

func texts(fields [][]byte) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = string(f)
	}
	return out
}

// findHeader finds the line that names the columns, or that the first row of data has no names, and maps
// the columns.
func (f *textFile) findHeader(rows [][]byte) error {
	at, named := 0, false
	for i, row := range rows {
		fields, err := f.split.split(row)
		if err != nil || len(fields) < leastFields {
			continue
		}
		if n := priceWords(fields); n >= 3 || n > 0 && formOf(fields[0]) == formNone {
			at, named = i, true
			break
		}
		if slices.ContainsFunc(fields, func(s []byte) bool { return formOf(s) != formNone }) && numeric(fields) >= 4 {
			at = i
			if width := len(fields); i > 0 { // a line of as many words names the columns, if in no known words
				above, err := f.split.split(rows[i-1])
				if named = err == nil && len(above) == width && numeric(above) == 0 && !empty(above); named {
					at = i - 1
				}
			}
			break
		}
	}
	fields, err := f.split.split(rows[at])
	if err != nil {
		return &RowError{Row: at + 1, Reason: err.Error()}
	}
	f.names, f.first = texts(fields), at+1
	data := rows[at:]
	if named {
		f.header, data = bytes.Clone(rows[at]), rows[at+1:]
		if used := f.multiHeader(rows[at:]); used > 0 {
			data = rows[at+used:]
			f.first += used - 1
		}
		f.first++
	}
	f.reading.Header = named
	f.reading.SkippedLines = at
	f.layout = findLayout(f.names, named, data, &f.split, rows[:at])
	f.reading.Layout = f.layout.name
	if !named {
		f.names = make([]string, len(f.names))
	}
	return f.mapText(data, at+1)
}

// numeric counts the fields that begin as numbers do.
func numeric(fields [][]byte) int {
	n := 0
	for _, s := range fields {
		s = bytes.TrimLeft(s, "$€£¥-+ ")
		if len(s) > 0 && isDigit(s[0]) {
			n++
		}
	}
	return n
}

// multiHeader reads the two or three lines of pandas' columns of two levels, as yfinance writes them, and
// returns how many lines they are; 0 when the header is one line.
func (f *textFile) multiHeader(rows [][]byte) int {
	if len(rows) < 3 {
		return 0
	}
	second, err := f.split.split(rows[1])
	if err != nil || len(second) != len(f.names) || numeric(second) > len(second)/2 || formOf(second[0]) != formNone || empty(second[1:]) {
		return 0
	}
	tickers := texts(second)
	used := 2
	if third, err := f.split.split(rows[2]); err == nil && len(third) == len(f.names) && len(third[0]) > 0 && empty(third[1:]) {
		f.names[0] = string(third[0])
		used = 3
	} else if normal(f.names[0]) == "price" || f.names[0] == "" {
		f.names[0] = "Date"
	}
	if normal(tickers[0]) == "price" { // grouped by ticker: the levels stand the other way
		f.names, tickers = append([]string{f.names[0]}, tickers[1:]...), append([]string{""}, f.names[1:]...)
	}
	distinct := []string{}
	for _, t := range tickers[1:] {
		if t != "" && !slices.Contains(distinct, t) {
			distinct = append(distinct, t)
		}
	}
	f.reading.Tickers = distinct
	if len(distinct) > 1 {
		for i := 1; i < len(f.names); i++ {
			if f.opts.Ticker == "" || !strings.EqualFold(tickers[i], f.opts.Ticker) {
				f.names[i] = fmt.Sprintf("%s of %s", f.names[i], tickers[i]) // not the name of any slot
			}
		}
	} else if len(distinct) == 1 {
		f.reading.Ticker = distinct[0]
	}
	return used
}

func empty(fields [][]byte) bool {
	for _, s := range fields {
		if len(s) > 0 {
			return false
		}
	}
	return true
}
