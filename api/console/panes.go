package console

import (
	"math"
	"slices"
	"strings"

	"millrace/jobs/backtest"
)

// mostPanes bounds the charts below the price; lines of more scales than that share the last one.
const mostPanes = 4

// drawn are the lines of a strategy as the charts show them.
type drawn struct {
	price []backtest.Plot
	panes [][]backtest.Plot // lines of like scales together
}

// arrange puts each line on the price or into a pane below. What a strategy plots on the price and has another scale,
// such as an oscillator from 0 to 100, would press the price's axis together: it goes into a pane.
func arrange(bars *backtest.Bars, w backtest.Window, lines []backtest.Plot) drawn {
	var d drawn
	var below []backtest.Plot
	for _, line := range lines {
		if line.Pane || !likePrice(bars.Close[w.From:w.To], line.Values[w.From:w.To]) {
			below = append(below, line)
			continue
		}
		d.price = append(d.price, line)
	}
	// A level such as 70 belongs to the line that it is a level of: it chooses its pane last.
	varies := func(p backtest.Plot) bool { low, high := around(p.Values[w.From:w.To], 0); return high > low }
	slices.SortStableFunc(below, func(a, b backtest.Plot) int {
		switch {
		case varies(a) == varies(b):
			return 0
		case varies(a):
			return -1
		}
		return 1
	})
	for _, line := range below {
		d.place(line, w)
	}
	return d
}

// place puts a line into the first pane whose lines have a like scale, or a new one.
func (d *drawn) place(line backtest.Plot, w backtest.Window) {
	low, high := around(line.Values[w.From:w.To], 0)
	for i, pane := range d.panes {
		first := pane[0].Values[w.From:w.To]
		if l, h := around(first, 0); low >= l-(h-l) && high <= h+(h-l) && (low == high || high-low >= (h-l)/8) {
			d.panes[i] = append(pane, line)
			return
		}
	}
	if len(d.panes) == mostPanes {
		d.panes[mostPanes-1] = append(d.panes[mostPanes-1], line)
		return
	}
	d.panes = append(d.panes, []backtest.Plot{line})
}

// likePrice reports whether a line can be read on the price's axis: most of it is near the close, and without its
// outermost values it makes the axis less than twice as long.
func likePrice(closes, values []float64) bool {
	var apart []float64
	for i, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			apart = append(apart, math.Abs(v/closes[i]-1))
		}
	}
	if len(apart) == 0 {
		return true
	}
	slices.Sort(apart)
	low, high := around(closes, 0)
	l, h := around(values, 0.05)
	if room := (high + low) / 100; high-low < room { // a price that hardly moves has an axis of its own height
		low, high = low-room, high+room
	}
	return apart[len(apart)/2] <= 0.5 && math.Max(h, high)-math.Min(l, low) < 2*(high-low)
}

// around are the lowest and the highest of the values without a share of them at each end; both 0 where there are none.
func around(values []float64, share float64) (low, high float64) {
	finite := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(finite) == 0 {
		return 0, 0
	}
	if share == 0 {
		return slices.Min(finite), slices.Max(finite)
	}
	slices.Sort(finite)
	cut := int(share * float64(len(finite)))
	return finite[cut], finite[len(finite)-1-cut]
}

// cut keeps as many lines of each chart as there are colours, and returns how many it leaves out.
func (d *drawn) cut(most int) (leftOut int) {
	if n := len(d.price) - (most - 1); n > 0 { // the close has one
		d.price, leftOut = d.price[:most-1], n
	}
	for i, pane := range d.panes {
		if n := len(pane) - most; n > 0 {
			d.panes[i], leftOut = pane[:most], leftOut+n
		}
	}
	return leftOut
}

// count is how many lines there are.
func (d *drawn) count() int {
	n := len(d.price)
	for _, pane := range d.panes {
		n += len(pane)
	}
	return n
}

// title names the lines of a pane, where there are several panes.
func (d *drawn) title(pane int) string {
	if len(d.panes) == 1 {
		return "Indicators"
	}
	var names []string
	for _, line := range d.panes[pane] {
		names = append(names, line.Name)
	}
	return "Indicators: " + strings.Join(names, ", ")
}
