package chart

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// heatLevels is how many colours a heat map has: classes q0 to q8 of the style sheet.
const heatLevels = 9

// Axis is one side of a heat map: its name and the label of each of its columns or rows.
type Axis struct {
	Name   string
	Labels []string
}

// Cell is one field of a heat map: NaN where there is none.
type Cell struct {
	Value float64
	Title string
	Trial int // the best in it
}

// Heat draws cells by row, from the lowest row up. The colours are by rank, so that one outlier
// does not wash out the rest; best, when not negative, is the field to point out. Trials open below href.
func Heat(id, label string, x, y Axis, cells []Cell, best int, href string) template.HTML {
	const width, height = 600, 400
	levels := ranks(cells)
	if levels == nil {
		return empty("heat", label, "no trial has a score yet", width, height)
	}
	c := newCanvas("heat", label, width, height)
	c.left, c.bottom = 64, height-50
	w, h := (c.right-c.left)/float64(len(x.Labels)), (c.bottom-c.top)/float64(len(y.Labels))
	gap := 0.0
	if w > 8 && h > 8 {
		gap = 1
	}
	var spots []Spot
	for at, cell := range cells {
		class := "cell none"
		if level := levels[at]; level >= 0 {
			class = fmt.Sprintf("cell q%d", level)
		}
		px, py := c.left+float64(at%len(x.Labels))*w, c.bottom-float64(at/len(x.Labels)+1)*h
		c.rect(class, px, py, w-gap, h-gap, "")
		if cell.Title != "" {
			trial := cell.Trial
			if href == "" {
				trial = -1
			}
			spots = append(spots, Spot{px + w/2, py + h/2, cell.Title, trial})
		}
	}
	if best >= 0 {
		px, py := c.left+float64(best%len(x.Labels))*w, c.bottom-float64(best/len(x.Labels)+1)*h
		c.rect("best", px-gap/2, py-gap/2, w, h, "")
	}
	for _, i := range spread(len(x.Labels), 12) {
		c.text("tick", "middle", c.left+(float64(i)+0.5)*w, c.bottom+15, x.Labels[i])
	}
	for _, i := range spread(len(y.Labels), 14) {
		c.text("tick", "end", c.left-6, c.bottom-(float64(i)+0.5)*h+3.5, y.Labels[i])
	}
	c.text("axis", "middle", (c.left+c.right)/2, height-10, brief(x.Name, 40))
	fmt.Fprintf(c, `<text class="axis" text-anchor="middle" transform="translate(12 %s) rotate(-90)">%s</text>`, num((c.top+c.bottom)/2), template.HTMLEscapeString(brief(y.Name, 40)))
	return Spots(id, label, c.svg(), spots, href)
}

// Levels are the values at which a heat map's colours begin, from the lowest to the highest: every other
// one of them, for its legend. Nil when no cell has a value.
func Levels(cells []Cell) []float64 {
	var sorted []float64
	for _, cell := range cells {
		if finite(cell.Value) {
			sorted = append(sorted, cell.Value)
		}
	}
	if sorted == nil {
		return nil
	}
	slices.Sort(sorted)
	var levels []float64
	for level := 0; level < heatLevels; level += 2 {
		levels = append(levels, sorted[level*(len(sorted)-1)/(heatLevels-1)])
	}
	return levels
}

// ranks gives each cell its colour: −1 for a cell without a value; nil when no cell has one.
func ranks(cells []Cell) []int {
	var sorted []float64
	for _, cell := range cells {
		if finite(cell.Value) {
			sorted = append(sorted, cell.Value)
		}
	}
	if sorted == nil {
		return nil
	}
	slices.Sort(sorted)
	levels := make([]int, len(cells))
	for i, cell := range cells {
		levels[i] = -1
		if finite(cell.Value) {
			at, _ := slices.BinarySearch(sorted, cell.Value)
			levels[i] = heatLevels - 1
			if last := len(sorted) - 1; last > 0 {
				levels[i] = int(math.Round(float64(at) / float64(last) * (heatLevels - 1)))
			}
		}
	}
	return levels
}

// spread chooses at most most of n places, evenly.
func spread(n, most int) []int {
	step := (n + most - 1) / most
	var all []int
	for i := 0; i < n; i += max(step, 1) {
		all = append(all, i)
	}
	return all
}
