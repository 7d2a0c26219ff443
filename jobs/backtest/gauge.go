package backtest

import (
	"math"
	"slices"
)

// gauge measures equity as it is written: the drawdown at every bar, and what the moments of the
// per-period returns are made of. Where every bar ends a period that is power sums; where a day has
// several bars, or the returns are to be kept, it is the returns themselves.
type gauge struct {
	bar int // the next to be read

	peak     float64
	floor    float64 // equity below it deepens the drawdown
	drawdown float64 // deepest, as a fraction of its peak
	peakAt   int     // bar of the peak; the one before the window for the starting cash
	below    int     // longest time below a peak, in bars

	last    float64 // equity at the end of the last period
	daily   bool    // a period has several bars
	ends    []int32 // of the periods to come, when daily
	endedAt int     // bar that ended the last period, when daily
	keep    bool
	returns []float64 // when daily or kept
	sums    powerSums // when not daily
}

// reset begins a window.
func (g *gauge) reset(b *Bars, w Window, cash float64, keep bool) {
	*g = gauge{
		bar: w.From, endedAt: w.From - 1, peak: cash, floor: cash, peakAt: w.From - 1, last: cash,
		daily: b.dayEnds != nil, keep: keep, returns: g.returns[:0],
	}
	if g.daily {
		at, _ := slices.BinarySearch(b.dayEnds, int32(w.From))
		g.ends = b.dayEnds[at:]
	}
}

// read measures the equity of the bars that follow those read before. Sums take one return after
// the other, so that they do not depend on how the bars are cut.
func (g *gauge) read(equity []float64) {
	if len(equity) == 0 {
		return
	}
	switch {
	case g.daily:
		g.fall(equity)
		for len(g.ends) > 0 && int(g.ends[0]) < g.bar+len(equity) {
			g.endDay(equity[int(g.ends[0])-g.bar])
		}
	case g.last <= 0:
		g.fall(equity) // nothing grows from ruin
	default:
		g.fallAndSum(equity)
	}
	if g.keep && !g.daily {
		for _, e := range equity {
			g.period(e)
		}
	}
	if !g.daily {
		g.last = equity[len(equity)-1]
	}
	g.bar += len(equity)
}

// fall follows the peak and the deepest fall from it. Positive floats order as their bits do, so
// that one comparison of integers tells the bars that change neither: most do not.
func (g *gauge) fall(equity []float64) {
	floor := math.Float64bits(g.floor)
	width := math.Float64bits(g.peak) - floor
	for i, e := range equity {
		if math.Float64bits(e)-floor >= width {
			floor, width = g.mark(g.bar+i, e)
		}
	}
}

// fallAndSum is fall, and adds up the returns on the way.
func (g *gauge) fallAndSum(equity []float64) {
	floor := math.Float64bits(g.floor)
	width := math.Float64bits(g.peak) - floor
	last, r1, squares, r3, r4 := g.last, g.sums.r1, g.sums.squares, g.sums.r3, g.sums.r4
	for i, e := range equity {
		r := (e - last) / last
		last = e
		rr := r * r
		r1 += r
		squares[math.Float64bits(r)>>63] += rr
		r3 += r * rr
		r4 += rr * rr
		if math.Float64bits(e)-floor >= width {
			floor, width = g.mark(g.bar+i, e)
		}
	}
	g.sums = powerSums{r1, squares, r3, r4}
}

// mark takes an equity at or above the peak or below the floor, and returns the bits of the floor
// and how far above it those of the peak are.
//
//go:noinline
func (g *gauge) mark(bar int, equity float64) (floor, width uint64) {
	if equity >= g.peak {
		g.below = max(g.below, bar-g.peakAt-1)
		g.peak, g.peakAt = equity, bar
		g.floor = equity * (1 - g.drawdown)
	} else {
		g.drawdown = 1 - equity/g.peak
		g.floor = equity
	}
	floor = math.Float64bits(g.floor)
	return floor, math.Float64bits(g.peak) - floor
}

// rest measures bars that all have the same equity: after the first of them nothing moves.
func (g *gauge) rest(equity float64, bars int) {
	first := [1]float64{equity}
	g.read(first[:])
	if equity >= g.peak {
		g.peakAt += bars - 1
	}
	g.bar += bars - 1
	switch {
	case g.daily:
		for len(g.ends) > 0 && int(g.ends[0]) < g.bar {
			g.endDay(equity)
		}
	case g.keep:
		for range bars - 1 {
			g.period(equity)
		}
	}
}

func (g *gauge) endDay(equity float64) {
	g.period(equity)
	g.endedAt = int(g.ends[0])
	g.ends = g.ends[1:]
}

// finish ends the day that the window cuts short, when it does.
func (g *gauge) finish(equity float64) {
	if g.daily && g.endedAt < g.bar-1 {
		g.period(equity)
	}
}

// period ends one; nothing grows from ruin.
func (g *gauge) period(equity float64) {
	growth := 0.0
	if g.last > 0 {
		growth = (equity - g.last) / g.last
	}
	g.returns = append(g.returns, growth)
	g.last = equity
}

// kept reports whether returns has those of every period read.
func (g *gauge) kept() bool { return g.daily || g.keep }

// longest is the longest time below a peak up to the last bar read.
func (g *gauge) longest() int { return max(g.below, g.bar-1-g.peakAt) }

// powerSums are Σr, Σr² of gains and of losses, Σr³ and Σr⁴ of returns.
type powerSums struct {
	r1      float64
	squares [2]float64 // gains, losses: by the sign bit
	r3, r4  float64
}

// moments are those of n returns about their mean. ok is false when the sums cannot tell them: a
// mean that is large beside the spread cancels it, and silly equities overflow.
func (s *powerSums) moments(n float64) (m moments, ok bool) {
	mean, r2 := s.r1/n, s.squares[0]+s.squares[1]
	m = moments{
		n: n, mean: mean, down: s.squares[1],
		m2: r2 - n*mean*mean,
		m3: s.r3 - 3*mean*r2 + 2*n*mean*mean*mean,
		m4: s.r4 - 4*mean*s.r3 + 6*mean*mean*r2 - 3*n*mean*mean*mean*mean,
	}
	return m, r2 == 0 || m.m2 > n*mean*mean && !math.IsInf(s.r4, 0)
}

// moments are Σ(r−mean)ᵏ of n returns, and Σmin(r,0)².
type moments struct{ n, mean, m2, m3, m4, down float64 }

// momentsOf computes the moments in two passes.
func momentsOf(returns []float64) moments {
	m := moments{n: float64(len(returns))}
	for _, r := range returns {
		m.mean += r
	}
	m.mean /= m.n
	for _, r := range returns {
		d := r - m.mean
		dd := d * d
		m.m2 += dd
		m.m3 += dd * d
		m.m4 += dd * dd
		down := min(r, 0)
		m.down += down * down
	}
	return m
}
