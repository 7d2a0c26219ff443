package chart

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
)

// cells of a scatter's grid: points that fall into one are drawn once, as heavy as they are many.
const (
	scatterColumns = 96
	scatterRows    = 60
	scatterLevels  = 5
)

// Cloud is what a scatter is drawn of: a point a trial.
type Cloud struct {
	ID, Label, XName, YName string
	X, Y                    []float64
	Trial                   []int                  // of each point
	Text                    func(point int) string // what is read of it
	Better                  func(a, b int) bool    // which of two points that fall together is read
	Equal                   bool                   // draw the line where both are equal
	MarkX, MarkY            float64                // a point to point out; NaN: none
	Small                   bool
	Href                    string
}

// Scatter draws y over x. However many points there are, the drawing stays small.
func Scatter(of Cloud) template.HTML {
	width, height := 520.0, 360.0
	if of.Small {
		width, height = 380, 230
	}
	label, xName, yName, xs, ys := of.Label, of.XName, of.YName, of.X, of.Y
	lowX, highX, lowY, highY := extent(xs, ys)
	if lowX > highX {
		return empty("scatter", label, "no trial has both scores", width, height)
	}
	c := newCanvas("scatter", label, width, height)
	c.bottom -= 14
	x, y := scale{from: c.left, to: c.right}, scale{from: c.bottom, to: c.top}
	x.low, x.high = around(lowX, highX)
	y.low, y.high = around(lowY, highY)
	c.yAxis(y, 6)
	for _, v := range ticks(x.low, x.high, 8) {
		c.line("grid", x.at(v), c.top, x.at(v), c.bottom)
		c.text("tick", "middle", x.at(v), c.bottom+15, Short(v))
	}
	if low, high := math.Max(x.low, y.low), math.Min(x.high, y.high); of.Equal && high > low {
		c.line("equal", x.at(low), y.at(low), x.at(high), y.at(high))
	}
	c.text("axis", "middle", (c.left+c.right)/2, height-6, brief(xName, 40))
	fmt.Fprintf(c, `<text class="axis" text-anchor="middle" transform="translate(12 %s) rotate(-90)">%s</text>`, num((c.top+c.bottom)/2), template.HTMLEscapeString(brief(yName, 40)))
	for level, d := range clouds(xs, ys, x, y) {
		c.path(fmt.Sprintf("dot d%d", level+1), d)
	}
	if !math.IsNaN(of.MarkX) && !math.IsNaN(of.MarkY) {
		fmt.Fprintf(c, `<circle class="mark" cx="%s" cy="%s" r="6"/>`, num(x.at(of.MarkX)), num(y.at(of.MarkY)))
	}
	return Spots(of.ID, label, c.svg(), of.spots(x, y), of.Href)
}

// spots are the points to read: of those that fall together the best.
func (of Cloud) spots(x, y scale) []Spot {
	columns, rows := scatterColumns/2, scatterRows/2 // as near as a pointer distinguishes
	if of.Small {
		columns, rows = columns/2, rows/2
	}
	best := map[int]int{}
	for i := range of.X {
		if !finite(of.X[i]) || !finite(of.Y[i]) {
			continue
		}
		col := min(int((of.X[i]-x.low)/(x.high-x.low)*float64(columns)), columns-1)
		row := min(int((of.Y[i]-y.low)/(y.high-y.low)*float64(rows)), rows-1)
		at := row*columns + col
		if was, ok := best[at]; !ok || of.Better(i, was) {
			best[at] = i
		}
	}
	var spots []Spot
	for _, at := range slices.Sorted(maps.Keys(best)) {
		i := best[at]
		spots = append(spots, Spot{x.at(of.X[i]), y.at(of.Y[i]), of.Text(i), of.Trial[i]})
	}
	return spots
}

func extent(xs, ys []float64) (lowX, highX, lowY, highY float64) {
	lowX, lowY = math.Inf(1), math.Inf(1)
	highX, highY = math.Inf(-1), math.Inf(-1)
	for i := range xs {
		if !finite(xs[i]) || !finite(ys[i]) {
			continue
		}
		lowX, highX = math.Min(lowX, xs[i]), math.Max(highX, xs[i])
		lowY, highY = math.Min(lowY, ys[i]), math.Max(highY, ys[i])
	}
	return lowX, highX, lowY, highY
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// clouds gathers the points into one path of dots for each level of crowding.
func clouds(xs, ys []float64, x, y scale) [scatterLevels]string {
	var counts [scatterColumns * scatterRows]int
	most := 0
	for i := range xs {
		if !finite(xs[i]) || !finite(ys[i]) {
			continue
		}
		col := min(int((xs[i]-x.low)/(x.high-x.low)*scatterColumns), scatterColumns-1)
		row := min(int((ys[i]-y.low)/(y.high-y.low)*scatterRows), scatterRows-1)
		counts[row*scatterColumns+col]++
		most = max(most, counts[row*scatterColumns+col])
	}
	var paths [scatterLevels]strings.Builder
	for at, n := range counts {
		if n == 0 {
			continue
		}
		level := scatterLevels - 1
		if most > 1 {
			level = int(math.Log(float64(n)) / math.Log(float64(most)) * (scatterLevels - 1))
		}
		px := x.from + (float64(at%scatterColumns)+0.5)/scatterColumns*(x.to-x.from)
		py := y.from + (float64(at/scatterColumns)+0.5)/scatterRows*(y.to-y.from)
		fmt.Fprintf(&paths[level], "M%s %sh0", num(px), num(py))
	}
	var out [scatterLevels]string
	for i := range paths {
		out[i] = paths[i].String()
	}
	return out
}
