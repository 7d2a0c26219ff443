package chart

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"
)

// Plot is a chart over time that the browser draws: a line a series, on one axis. As JSON it is what
// plot.js reads.
type Plot struct {
	ID      string     `json:"id"`
	Title   string     `json:"title"`
	Unit    string     `json:"unit,omitempty"`
	Time    Seconds    `json:"x"`
	Lines   []PlotLine `json:"lines"`
	Marks   []Mark     `json:"marks,omitempty"`
	Spans   []PlotSpan `json:"spans,omitempty"`
	Numeric bool       `json:"numeric,omitempty"` // the axis is a count, not a time
	Log     bool       `json:"log,omitempty"`     // may be shown on a logarithmic scale: every value is positive
	Height  int        `json:"height"`
	More    string     `json:"more,omitempty"` // where a part is fetched with all of its values; "" has all of them
	CSV     string     `json:"csv,omitempty"`  // where every value is
	Note    string     `json:"note,omitempty"`
}

// PlotLine is one series: a value a time, NaN where it has none. No two lines of a plot share a class.
type PlotLine struct {
	Name   string `json:"name"`
	Class  string `json:"class"` // a colour of the style sheet: s1, s2, …, down
	Values Values `json:"values"`
	Area   bool   `json:"area,omitempty"` // fill what is between the line and zero
}

// Mark points at a value of the first line.
type Mark struct {
	Time  float64 `json:"t"`
	Value float64 `json:"v"`
	Kind  string  `json:"kind"` // long, short, exit
	Text  string  `json:"text"`
}

// PlotSpan shades a part of the time axis.
type PlotSpan struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Name string  `json:"name"`
}

// Values are written with seven significant digits, and null where they are not finite.
type Values []float64

// MarshalJSON implements json.Marshaler.
func (v Values) MarshalJSON() ([]byte, error) { return numbers(v, 7), nil }

// Seconds are times since 1970 with microseconds.
type Seconds []float64

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) { return numbers(s, 16), nil }

func numbers(values []float64, digits int) []byte {
	out := []byte{'['}
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out = append(out, "null"...)
			continue
		}
		if digits > 15 {
			out = strconv.AppendFloat(out, v, 'f', -1, 64)
			continue
		}
		short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
		if err != nil {
			short = v
		}
		out = strconv.AppendFloat(out, short, 'g', -1, 64)
	}
	return append(out, ']')
}

var _ = []json.Marshaler{Values(nil), Seconds(nil)}

// Source is a plot with all of its values; Plot is made of it.
type Source struct {
	Plot
	Micros []int64 // Unix microseconds, in place of Plot.Time
	// MarksOf are those from one time to another, and how many they are; of more than most that number alone. nil: it has none.
	MarksOf func(from, to float64, most int) ([]Mark, int)
}

// plotBuckets is how many stretches a plot keeps the extremes of, more than can be distinguished; of many lines they
// are fewer, so that a plot has mostPoints at most.
const (
	plotBuckets = 700
	mostPoints  = 5000
)

// mostMarks is how many marks a plot shows; of more it says that they show when zoomed in.
const mostMarks = 400

// Part is the plot from one time to another, in Unix microseconds; both zero: all of it. Of more values
// than can be seen it keeps, in each of many stretches, every line's lowest and highest, so that no peak
// and no trough is lost.
func (s Source) Part(from, to int64) Plot {
	first, last := 0, len(s.Micros)
	if from != 0 || to != 0 {
		first, _ = slices.BinarySearch(s.Micros, from)
		last = sort.Search(len(s.Micros), func(i int) bool { return s.Micros[i] > to })
		first, last = max(first-1, 0), min(last+1, len(s.Micros)) // lines reach the edges
	}
	last = max(first, last)
	p := s.Plot
	kept := s.extremes(first, last)
	p.Time = make(Seconds, len(kept))
	for k, i := range kept {
		p.Time[k] = seconds(s.Micros[i])
	}
	p.Lines = make([]PlotLine, len(s.Lines))
	for l, line := range s.Lines {
		values := make(Values, len(kept))
		for k, i := range kept {
			values[k] = line.Values[i]
		}
		line.Values = values
		p.Lines[l] = line
	}
	if whole := first == 0 && last == len(s.Micros); whole && len(kept) == last {
		p.More = ""
	}
	if s.MarksOf != nil && last > first {
		var n int
		if p.Marks, n = s.MarksOf(seconds(s.Micros[first]), seconds(s.Micros[last-1]), mostMarks); n > mostMarks {
			p.Note = fmt.Sprintf("%d marks here: they show once zoomed in to %d or fewer", n, mostMarks)
		}
	}
	return p
}

func seconds(micros int64) float64 { return float64(micros) / 1e6 }

// extremes are the indexes in [first, last) to keep, in order.
func (s Source) extremes(first, last int) []int {
	n := last - first
	lines := max(len(s.Lines), 1)
	stretches := min(plotBuckets, mostPoints/(2*lines+1))
	if n <= stretches*2*lines {
		all := make([]int, n)
		for i := range all {
			all[i] = first + i
		}
		return all
	}
	var kept []int
	for k := range stretches {
		from, to := first+k*n/stretches, first+(k+1)*n/stretches
		mark := len(kept)
		kept = append(kept, from)
		for _, line := range s.Lines {
			low, high := -1, -1
			for i := from; i < to; i++ {
				v := line.Values[i]
				if math.IsNaN(v) {
					continue
				}
				if low < 0 || v < line.Values[low] {
					low = i
				}
				if high < 0 || v > line.Values[high] {
					high = i
				}
			}
			if low >= 0 {
				kept = append(kept, low, high)
			}
		}
		slices.Sort(kept[mark:])
		kept = kept[:mark+len(slices.Compact(kept[mark:]))]
	}
	if kept[len(kept)-1] != last-1 {
		kept = append(kept, last-1)
	}
	return kept
}

// WriteCSV writes every value: a line a time.
func (s Source) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"time"}
	for _, line := range s.Lines {
		head = append(head, line.Name)
	}
	rows := [][]string{head}
	for i, micros := range s.Micros {
		row := []string{time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)}
		for _, line := range s.Lines {
			text := ""
			if v := line.Values[i]; finite(v) {
				text = strconv.FormatFloat(v, 'g', -1, 64)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write the values of %s: %w", s.ID, err)
	}
	return nil
}
