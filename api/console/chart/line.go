package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Series is one line of a chart over time.
type Series struct {
	Name   string
	Class  string // of the style sheet: s1, s2, …
	Time   []int64
	Values []float64
	Area   bool // fill what is between the line and zero
}

// Span shades a part of the time axis and names it.
type Span struct {
	From, To int64 // Unix microseconds
	Name     string
	Class    string
}

// Lines draws series over a common time axis.
func Lines(label string, height float64, series []Series, spans ...Span) template.HTML {
	return sizes(func(class string, width float64) template.HTML {
		return lines(class+" lines", label, width, height, series, spans)
	})
}

func lines(class, label string, width, height float64, series []Series, spans []Span) template.HTML {
	lowT, highT, lowV, highV := bounds(series)
	if lowT > highT {
		return empty(class, label, "no values yet", width, height)
	}
	c := newCanvas(class, label, width, height)
	x := scale{float64(lowT), float64(highT), c.left, c.right}
	y := scale{from: c.bottom, to: c.top}
	y.low, y.high = around(lowV, highV)
	for _, span := range spans {
		from, to := x.at(float64(max(span.From, lowT))), x.at(float64(min(span.To, highT)))
		if to > from {
			c.rect("span "+span.Class, from, c.top, to-from, c.bottom-c.top, span.Name)
			if to-from > 60 {
				c.text("spanname", "middle", (from+to)/2, c.top+12, span.Name)
			}
		}
	}
	c.yAxis(y, max(2, int(height/50)))
	c.timeAxis(x)
	for _, s := range series {
		d := path(thin(s, int(width*1.4)), x, y)
		if s.Area && d != "" {
			floor := y.at(math.Max(y.low, math.Min(y.high, 0)))
			c.path("area "+s.Class, fmt.Sprintf("%sL%s %sL%s %sZ", d, num(x.at(float64(s.Time[len(s.Time)-1]))), num(floor), num(x.at(float64(s.Time[0]))), num(floor)))
		}
		c.path("line "+s.Class, d)
	}
	return c.svg()
}

func bounds(series []Series) (lowT, highT int64, lowV, highV float64) {
	lowT, highT, lowV, highV = math.MaxInt64, math.MinInt64, math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for i, v := range s.Values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			lowT, highT = min(lowT, s.Time[i]), max(highT, s.Time[i])
			lowV, highV = math.Min(lowV, v), math.Max(highV, v)
		}
	}
	return lowT, highT, lowV, highV
}

// thin keeps the lowest and the highest point of each of most/2 stretches, so that no peak and no
// trough of a long line is lost; more points than pixels are.
func thin(s Series, most int) Series {
	n := len(s.Values)
	if n <= most {
		return s
	}
	out := Series{}
	keep := func(i int) {
		out.Time, out.Values = append(out.Time, s.Time[i]), append(out.Values, s.Values[i])
	}
	stretches := most / 2
	for k := range stretches {
		from, to := k*n/stretches, (k+1)*n/stretches
		low, high := from, from
		for i := from; i < to; i++ {
			if s.Values[i] < s.Values[low] {
				low = i
			}
			if s.Values[i] > s.Values[high] {
				high = i
			}
		}
		keep(min(low, high))
		if low != high {
			keep(max(low, high))
		}
	}
	return out
}

func path(s Series, x, y scale) string {
	var d strings.Builder
	pen := "M"
	for i, v := range s.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%s %s", pen, num(x.at(float64(s.Time[i]))), num(y.at(v)))
		pen = "L"
	}
	return d.String()
}

// timeAxis labels round dates, as many as have room.
func (c *canvas) timeAxis(x scale) {
	from, to := time.UnixMicro(int64(x.low)).UTC(), time.UnixMicro(int64(x.high)).UTC()
	layout, step := calendarStep(to.Sub(from))
	free := c.left // where the next label may begin
	for at := step(from); !at.After(to); at = step(at.Add(time.Microsecond)) {
		at := at
		px := x.at(float64(at.UnixMicro()))
		if px < c.left+14 || px > c.right-14 {
			continue
		}
		c.line("grid", px, c.top, px, c.bottom)
		text := at.Format(layout)
		half := float64(len(text)) * 3.2
		if px-half < free {
			continue
		}
		free = px + half + 6
		c.text("tick", "middle", px, c.bottom+16, text)
	}
}

// calendarStep chooses dates that a reader expects: the layout to write them in, and the first one
// at or after a time.
func calendarStep(span time.Duration) (layout string, step func(time.Time) time.Time) {
	const day = 24 * time.Hour
	months := func(n int) func(time.Time) time.Time {
		return func(t time.Time) time.Time {
			total := t.Year()*12 + int(t.Month()) - 1
			at := time.Date(total/12, time.Month(total%12+1), 1, 0, 0, 0, 0, time.UTC)
			for at.Before(t) || (at.Year()*12+int(at.Month())-1)%n != 0 {
				at = at.AddDate(0, 1, 0)
			}
			return at
		}
	}
	every := func(d time.Duration) func(time.Time) time.Time {
		return func(t time.Time) time.Time {
			if at := t.Truncate(d); !at.Before(t) {
				return at
			}
			return t.Truncate(d).Add(d)
		}
	}
	switch years := int(span / (365 * day)); {
	case years >= 4:
		return "2006", months(12 * max(1, (years+7)/8))
	case years >= 2:
		return "Jan 2006", months(6)
	case span > 200*day:
		return "Jan 2006", months(3)
	case span > 60*day:
		return "Jan 2006", months(1)
	case span > 12*day:
		return "2 Jan", every(7 * day)
	case span > 2*day:
		return "2 Jan", every(day * time.Duration(1+int(span/(8*day))))
	case span > 6*time.Hour:
		return "15:04", every(6 * time.Hour)
	case span > time.Hour:
		return "15:04", every(time.Hour)
	}
	return "15:04", every(10 * time.Minute)
}
