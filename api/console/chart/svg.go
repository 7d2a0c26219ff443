package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Colours is how many classes of lines the style sheet has: s1 to s8.
const Colours = 8

// canvas is a chart in the making: a plot area with room for labels around it.
type canvas struct {
	strings.Builder
	width, height            float64
	left, right, top, bottom float64
}

// newCanvas begins a chart that scales with its container.
func newCanvas(class, label string, width, height float64) *canvas {
	c := &canvas{width: width, height: height, left: 52, right: width - 12, top: 10, bottom: height - 34}
	fmt.Fprintf(c, `<svg class="chart %s" viewBox="0 0 %s %s" role="img" aria-label="%s" focusable="false">`,
		class, num(width), num(height), html.EscapeString(label))
	return c
}

func (c *canvas) svg() template.HTML {
	c.WriteString("</svg>")
	return template.HTML(c.String()) //nolint:gosec // every text in it went through escape
}

// num writes a coordinate as short as it can be seen.
func num(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// text writes a label; anchor is start, middle or end.
func (c *canvas) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(c, `<text class="%s" text-anchor="%s" x="%s" y="%s">%s</text>`, class, anchor, num(x), num(y), html.EscapeString(text))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

func (c *canvas) path(class, d string) {
	if d != "" {
		fmt.Fprintf(c, `<path class="%s" d="%s"/>`, class, d)
	}
}

// rect draws a box with a title that shows when it is pointed at.
func (c *canvas) rect(class string, x, y, w, h float64, title string) {
	fmt.Fprintf(c, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"`, class, num(x), num(y), num(w), num(h))
	if title == "" {
		c.WriteString("/>")
		return
	}
	fmt.Fprintf(c, `><title>%s</title></rect>`, html.EscapeString(title))
}

// scale maps values to coordinates.
type scale struct {
	low, high float64
	from, to  float64
}

func (s scale) at(v float64) float64 {
	if s.high == s.low {
		return (s.from + s.to) / 2
	}
	return s.from + (v-s.low)/(s.high-s.low)*(s.to-s.from)
}

// around widens a range a little, so that nothing lies on the edge; a range of one value gets room.
func around(low, high float64) (float64, float64) {
	if low == high {
		room := math.Max(math.Abs(low)*0.05, 0.5)
		return low - room, high + room
	}
	room := (high - low) * 0.04
	return low - room, high + room
}

// ticks are at most about n round values within [low, high].
func ticks(low, high float64, n int) []float64 {
	if !(high > low) || n < 1 {
		return nil
	}
	rough := (high - low) / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= rough*(1-1e-9) {
			step = m * power
			break
		}
	}
	var all []float64
	for k := math.Ceil(low/step - 1e-9); k*step <= high+step*1e-9; k++ {
		all = append(all, k*step+0) // no negative zero
	}
	return all
}

// Short writes a number with about three significant digits.
func Short(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	a := math.Abs(v)
	switch {
	case a >= 1e9:
		return trimmed(v/1e9, 2) + "G"
	case a >= 1e6:
		return trimmed(v/1e6, 2) + "M"
	case a >= 1e4:
		return trimmed(v/1e3, 1) + "k"
	case a >= 100:
		return trimmed(v, 0)
	case a >= 1 || a == 0:
		return trimmed(v, 2)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func trimmed(v float64, decimals int) string {
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return strings.Replace(text, "-", "−", 1)
}

// yAxis draws the grid lines of a scale and their values.
func (c *canvas) yAxis(s scale, n int) {
	for _, v := range ticks(s.low, s.high, n) {
		y := s.at(v)
		class := "grid"
		if v == 0 {
			class = "grid zero"
		}
		c.line(class, c.left, y, c.right, y)
		c.text("tick", "end", c.left-6, y+3.5, Short(v))
	}
}

// sizes draws a chart that is wide twice, for a desk and for a telephone, so that its words are
// legible on both; the style sheet shows one, by the room there is.
func sizes(draw func(class string, width float64) template.HTML) template.HTML {
	return draw("wide", 880) + draw("narrow", 380)
}

// empty is a chart that says why there is nothing in it.
func empty(class, label, why string, width, height float64) template.HTML {
	c := newCanvas(class, label+": "+why, width, height)
	c.text("none", "middle", width/2, height/2, why)
	return c.svg()
}

// brief is a name in at most most characters.
func brief(name string, most int) string {
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}
