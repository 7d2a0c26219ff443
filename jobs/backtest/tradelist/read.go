package tradelist

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/jobs/portable"
)

// Limits on a list that is read.
const (
	MaxTrades = 1_000_000
	maxBytes  = 200 << 20
)

// Trade is one trade of a list. Times are Unix microseconds of the bar's open.
type Trade struct {
	Number                  int // as the list counts
	Long                    bool
	Size                    float64
	EntryTime, ExitTime     int64
	EntryPrice, ExitPrice   float64
	Profit                  float64 // NaN where the list has none
	EntrySignal, ExitSignal string

	rounding float64 // how far the printed profit may be from the true one
}

// columns are where a file has what; -1 is nowhere.
type columns struct{ number, kind, at, signal, price, size, profit int }

// Read reads the closed trades of a list; those that are open at its end are left out. Times without an
// offset are in the zone, nil for UTC. Errors name the line.
func Read(r io.Reader, zone *time.Location) ([]Trade, error) {
	if zone == nil {
		zone = time.UTC
	}
	in := bufio.NewReader(io.LimitReader(r, maxBytes))
	head, _ := in.Peek(4096)
	if bytes.HasPrefix(head, []byte("PK")) {
		return nil, errors.New("this is a workbook: export the list of trades as CSV")
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
		head = head[3:]
	}
	rows := csv.NewReader(in)
	rows.LazyQuotes, rows.FieldsPerRecord, rows.ReuseRecord = true, -1, true
	if first, _, _ := bytes.Cut(head, []byte("\n")); bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		rows.Comma = ';'
	}
	names, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("line 1: the list is empty or not CSV: %w", err)
	}
	at, err := find(names)
	if err != nil {
		return nil, err
	}
	l := &reading{columns: at, zone: zone, half: map[int]int{}}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return l.closed()
		}
		line, _ := rows.FieldPos(0)
		if err == nil {
			err = l.add(row)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// find finds the columns by their headings, which may end in a currency.
func find(names []string) (columns, error) {
	c := columns{-1, -1, -1, -1, -1, -1, -1}
	for i, name := range names {
		name = strings.ToLower(strings.Join(strings.Fields(name), " "))
		first := func(to *int, prefixes ...string) {
			for _, p := range prefixes {
				if *to < 0 && strings.HasPrefix(name, p) && !strings.HasSuffix(name, "%") {
					*to = i
				}
			}
		}
		first(&c.number, "trade #", "trade number", "trade no")
		first(&c.kind, "type")
		first(&c.at, "date")
		first(&c.signal, "signal")
		first(&c.price, "price")
		first(&c.size, "position size (qty)", "size (qty)", "contracts", "quantity", "qty")
		first(&c.profit, "net p&l", "net pnl", "profit", "p&l")
	}
	for _, need := range []struct {
		at   int
		name string
	}{{c.number, "Trade #"}, {c.kind, "Type"}, {c.at, "Date and time"}, {c.price, "Price"}, {c.size, "Position size (qty)"}} {
		if need.at < 0 {
			return c, fmt.Errorf("line 1: there is no column %q; export the list of trades as CSV, in English", need.name)
		}
	}
	return c, nil
}

// reading collects trades of which the rows come one by one.
type reading struct {
	columns
	zone   *time.Location
	trades []half
	half   map[int]int // by number, the index of the trade
}

type half struct {
	Trade
	entered, exited, open bool
}

func (l *reading) add(row []string) error {
	cell := func(i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	if len(row) == 1 && cell(0) == "" {
		return nil
	}
	n, err := number(cell(l.number))
	if err != nil || n != math.Trunc(n) {
		return fmt.Errorf("%q is not the number of a trade", cut(cell(l.number)))
	}
	i, ok := l.half[int(n)]
	if !ok {
		if len(l.trades) == MaxTrades {
			return fmt.Errorf("the list has more than %d trades", MaxTrades)
		}
		i = len(l.trades)
		l.half[int(n)] = i
		l.trades = append(l.trades, half{Trade: Trade{Number: int(n), Profit: math.NaN()}})
	}
	t := &l.trades[i]
	kind := strings.ToLower(cell(l.kind))
	exit := strings.HasPrefix(kind, "exit")
	if !exit && !strings.HasPrefix(kind, "entry") || !strings.HasSuffix(kind, "long") && !strings.HasSuffix(kind, "short") {
		return fmt.Errorf("the type %q is none of: Entry long, Exit long, Entry short, Exit short", cut(cell(l.kind)))
	}
	t.Long = strings.HasSuffix(kind, "long")
	signal := cell(l.signal)
	if exit && (strings.EqualFold(signal, "open") || cell(l.at) == "" || cell(l.price) == "") {
		t.open = true
		return nil
	}
	when, err := l.time(cell(l.at))
	if err != nil {
		return err
	}
	price, err := number(cell(l.price))
	if err != nil {
		return fmt.Errorf("the price: %w", err)
	}
	size, err := number(cell(l.size))
	if err != nil {
		return fmt.Errorf("the quantity: %w", err)
	}
	t.Size = math.Abs(size)
	if !exit {
		t.entered, t.EntryTime, t.EntryPrice, t.EntrySignal = true, when, price, signal
		return nil
	}
	t.exited, t.ExitTime, t.ExitPrice, t.ExitSignal = true, when, price, signal
	if text := cell(l.profit); text != "" {
		if t.Profit, err = number(text); err != nil {
			return fmt.Errorf("the profit: %w", err)
		}
		t.rounding = roundingOf(text)
	}
	return nil
}

// closed are the whole trades, by entry and exit.
func (l *reading) closed() ([]Trade, error) {
	var closed []Trade
	for i := range l.trades {
		t := &l.trades[i]
		switch {
		case !t.entered:
			return nil, fmt.Errorf("trade %d has no entry: the list is cut", t.Number)
		case t.exited && !t.open:
			closed = append(closed, t.Trade)
		}
	}
	if closed == nil && len(l.trades) == 0 {
		return nil, errors.New("the list has no trades")
	}
	order(closed)
	return closed, nil
}

// order sorts trades by what both lists have alike.
func order(trades []Trade) {
	slices.SortStableFunc(trades, func(a, b Trade) int {
		for _, d := range []int{cmp(a.EntryTime, b.EntryTime), cmp(a.ExitTime, b.ExitTime), cmp(a.EntryPrice, b.EntryPrice), cmp(a.Size, b.Size)} {
			if d != 0 {
				return d
			}
		}
		return a.Number - b.Number
	})
}

func cmp[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// time reads the time of a bar.
func (l *reading) time(text string) (int64, error) {
	for _, layout := range []string{"2006-01-02 15:04", time.DateTime, time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, l.zone); err == nil {
			return t.UnixMicro(), nil
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UnixMicro(), nil
	}
	return 0, fmt.Errorf("%q is not a time such as 2026-04-27 20:30", cut(text))
}

// number reads a number whose thousands may be separated and whose minus may be typographic.
func number(text string) (float64, error) {
	clean := strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "\u2212", "-").Replace(text)
	point, comma := strings.LastIndexByte(clean, '.'), strings.LastIndexByte(clean, ',')
	whole := clean[:max(comma, 0)]
	switch {
	case comma < 0:
	case point > comma, point < 0 && len(clean)-comma == 4 && strings.Trim(whole, "-0") != "":
		clean = strings.ReplaceAll(clean, ",", "") // it separates thousands
	default:
		clean = strings.ReplaceAll(strings.ReplaceAll(clean, ".", ""), ",", ".")
	}
	v, err := strconv.ParseFloat(clean, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number", cut(text))
	}
	return v, nil
}

// roundingOf is how far a printed number may be from the true one.
func roundingOf(text string) float64 {
	decimals := len(text) - 1 - strings.LastIndexAny(text, ".,")
	if decimals == len(text) {
		decimals = 0
	}
	return 0.51 * portable.Pow(10, -float64(decimals))
}

// cut keeps an error short.
func cut(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}
