package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// cells of a scatter's grid: points that fall into one are drawn once, as heavy as they are many.
const (
	scatterColumns = 96
	scatterRows    = 60
	scatterLevels  = 5
)

// Scatter draws y over x. However many points there are, the drawing stays small. The dashed line
// is where both are equal; mark, when not NaN, is a point to point out.
func Scatter(label, xName, yName string, xs, ys []float64, markX, markY float64, markName string) template.HTML {
	const width, height = 520, 360
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
	if low, high := math.Max(x.low, y.low), math.Min(x.high, y.high); high > low {
		c.line("equal", x.at(low), y.at(low), x.at(high), y.at(high))
	}
	c.text("axis", "middle", (c.left+c.right)/2, height-6, xName)
	fmt.Fprintf(c, `<text class="axis" text-anchor="middle" transform="translate(12 %s) rotate(-90)">%s</text>`, num((c.top+c.bottom)/2), template.HTMLEscapeString(yName))
	for level, d := range clouds(xs, ys, x, y) {
		c.path(fmt.Sprintf("dot d%d", level+1), d)
	}
	if !math.IsNaN(markX) && !math.IsNaN(markY) {
		fmt.Fprintf(c, `<circle class="mark" cx="%s" cy="%s" r="6"><title>%s</title></circle>`, num(x.at(markX)), num(y.at(markY)), template.HTMLEscapeString(markName))
	}
	return c.svg()
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
