package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Lane is one upright axis of parallel coordinates.
type Lane struct {
	Name   string
	Values []float64 // of each line
}

// Parallel draws a line a trial across all lanes; the first top of them are pointed out. Lines are read
// where they cross the last lane.
func Parallel(id, label string, lanes []Lane, top int, text func(line int) string, trial []int, href string) template.HTML {
	const height = 300.0
	if len(lanes) < 2 || len(trial) == 0 {
		return empty("parallel", label, "no trial has a score yet", 880, height)
	}
	width := max(880, 90*float64(len(lanes)))
	c := newCanvas("parallel", label, width, height)
	c.left, c.right = 46, width-46
	scales := make([]scale, len(lanes))
	at := make([]float64, len(lanes))
	for i, lane := range lanes {
		low, high := math.Inf(1), math.Inf(-1)
		for _, v := range lane.Values {
			if finite(v) {
				low, high = math.Min(low, v), math.Max(high, v)
			}
		}
		if low == high {
			low, high = low-0.5, high+0.5
		}
		scales[i] = scale{low, high, c.bottom - 8, c.top + 22}
		at[i] = c.left + float64(i)/float64(len(lanes)-1)*(c.right-c.left)
		c.line("grid", at[i], c.top+22, at[i], c.bottom-8)
		c.text("tick", "middle", at[i], c.bottom+6, Short(low))
		c.text("tick", "middle", at[i], c.top+14, Short(high))
		c.text("axis", "middle", at[i], height-8, brief(lane.Name, 14))
	}
	var spots []Spot
	for line := len(trial) - 1; line >= 0; line-- { // the best on top
		var d strings.Builder
		pen, y := "M", math.NaN()
		for i, lane := range lanes {
			if !finite(lane.Values[line]) {
				pen = "M"
				continue
			}
			y = scales[i].at(lane.Values[line])
			fmt.Fprintf(&d, "%s%s %s", pen, num(at[i]), num(y))
			pen = "L"
		}
		class := "par"
		if line < top {
			class = "par top"
		}
		c.path(class, d.String())
		if finite(y) {
			spots = append(spots, Spot{at[len(at)-1], y, text(line), trial[line]})
		}
	}
	return Spots(id, label, c.svg(), spots, href)
}
