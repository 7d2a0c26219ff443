package backtest

import (
	"math"
	"slices"
)

// equityStats follow the equity as it is written: the drawdown, and the sums behind the moments of
// the per-period returns. Where a day has several bars, or returns are kept, they hold the returns.
type equityStats struct {
	bar int // the next to read

	peak     float64
	floor    float64 // equity below it deepens the drawdown
	drawdown float64 // deepest, as a fraction of its peak
	peakAt   int     // bar of the peak; the one before the window for the starting cash
	below    int     // longest drawdown that has ended, in bars

	summed  float64 // equity up to which returns are in the sums
	last    float64 // equity at the end of the last period
	daily   bool    // a period has several bars
	ends    []int32 // of the periods to come, when daily
	endedAt int     // bar that ended the last period, when daily
	keep    bool
	returns []float64 // when daily or kept
	sums    powerSums // when not daily
}

// reset begins a window.
func (s *equityStats) reset(b *Bars, w Window, cash float64, keep bool) {
	*s = equityStats{
		bar: w.From, endedAt: w.From - 1, peak: cash, floor: cash, peakAt: w.From - 1, last: cash, summed: cash,
		daily: b.dayEnds != nil, keep: keep, returns: s.returns[:0],
	}
	if s.daily {
		at, _ := slices.BinarySearch(b.dayEnds, int32(w.From))
		s.ends = b.dayEnds[at:]
	}
}

// read takes the equity of the next bars; sum takes it as well.
func (s *equityStats) read(equity []float64) {
	if len(equity) == 0 {
		return
	}
	s.trackDrawdown(equity)
	switch {
	case s.daily:
		for len(s.ends) > 0 && int(s.ends[0]) < s.bar+len(equity) {
			s.endDay(equity[int(s.ends[0])-s.bar])
		}
	case s.keep:
		for _, e := range equity {
			s.period(e)
		}
	default:
		s.last = equity[len(equity)-1]
	}
	s.bar += len(equity)
}

// periods reads one lane of rows of equity, where returns of bars are kept. The drawdown is followed elsewhere.
func (s *equityStats) periods(rows []float64, lane int) {
	if s.keep {
		for i := lane; i < len(rows); i += Lanes {
			s.period(rows[i])
		}
	}
	s.bar += len(rows) / Lanes
}

// summing reports whether the sums take the equity that comes next: a ruined account has no returns.
func (s *equityStats) summing() bool { return !s.daily && !(s.summed <= 0) }

// sum adds the returns of the equity of bars that were read. It adds one at a time, so the sums do not depend on how
// the bars are cut into chunks; bars that do not move the equity may be left out.
func (s *equityStats) sum(equity []float64) {
	if s.summing() && len(equity) > 0 {
		s.summed = s.sums.add(s.summed, equity)
	}
}

// scalarBars is how many bars are looked at one by one after a new extreme, as another is likely to be near.
const scalarBars = 4

// trackDrawdown follows the peak and the deepest drawdown from it. Positive floats order as their
// bits do, so one integer comparison skips the bars that change neither, which most are.
func (s *equityStats) trackDrawdown(equity []float64) {
	for i := 0; i < len(equity); {
		if len(equity)-i >= 8 && s.floor > 0 && s.peak <= math.MaxFloat64 {
			i += quiet(equity[i:], s.floor, s.peak)
		}
		floor := math.Float64bits(s.floor)
		width := math.Float64bits(s.peak) - floor
		for end := min(i+scalarBars, len(equity)); i < end; i++ {
			if math.Float64bits(equity[i])-floor >= width {
				floor, width = s.newExtreme(s.bar+i, equity[i])
				end = min(i+scalarBars, len(equity))
			}
		}
	}
}

// newExtreme records a new peak or a deeper drawdown, and returns the bits of the floor and their
// distance to those of the peak.
//
//go:noinline
func (s *equityStats) newExtreme(bar int, equity float64) (floor, width uint64) {
	if equity >= s.peak {
		s.below = max(s.below, BarsBelow(s.peakAt, bar))
		s.peak, s.peakAt = equity, bar
		s.floor = equity * (1 - s.drawdown)
	} else {
		s.drawdown = 1 - equity/s.peak
		s.floor = equity
	}
	floor = math.Float64bits(s.floor)
	return floor, math.Float64bits(s.peak) - floor
}

// idleBars reads bars that all have the same equity: only the first can move a figure.
func (s *equityStats) idleBars(equity float64, bars int) {
	first := [1]float64{equity}
	s.read(first[:])
	if equity >= s.peak {
		s.peakAt += bars - 1
	}
	s.bar += bars - 1
	switch {
	case s.daily:
		for len(s.ends) > 0 && int(s.ends[0]) < s.bar {
			s.endDay(equity)
		}
	case s.keep:
		for range bars - 1 {
			s.period(equity)
		}
	}
}

func (s *equityStats) endDay(equity float64) {
	s.period(equity)
	s.endedAt = int(s.ends[0])
	s.ends = s.ends[1:]
}

// finish ends the day that the window cuts short, when it does.
func (s *equityStats) finish(equity float64) {
	if s.daily && s.endedAt < s.bar-1 {
		s.period(equity)
	}
}

// period ends a period; a ruined account has a return of zero.
func (s *equityStats) period(equity float64) {
	growth := 0.0
	if s.last > 0 {
		growth = (equity - s.last) / s.last
	}
	s.returns = append(s.returns, growth)
	s.last = equity
}

// kept reports whether returns holds every period read.
func (s *equityStats) kept() bool { return s.daily || s.keep }

// longest is the longest time below a peak up to the last bar read.
func (s *equityStats) longest() int { return max(s.below, BarsBelow(s.peakAt, s.bar)) }

// BarsBelow is the length of a drawdown: the bars whose equity is below the peak. peak is the bar of the peak,
// the one before the first for the starting cash; end is the first bar that is at the peak again, or the one
// after the last.
func BarsBelow(peak, end int) int { return end - peak - 1 }

// powerSums are Σr, Σr² of gains and of losses, Σr³ and Σr⁴ of returns.
type powerSums struct {
	r1      float64
	squares [2]float64 // gains, losses: by the sign bit
	r3, r4  float64
}

// moments are those of n returns about their mean. ok is false when the sums lost them: a mean that
// is large beside the spread cancels it, and extreme equities overflow.
func (s *powerSums) moments(n float64) (m moments, ok bool) {
	mean, r2 := s.r1/n, s.squares[0]+s.squares[1]
	m = moments{
		n: n, mean: mean, down: s.squares[1],
		m2: r2 - float64(n*mean*mean),
		m3: s.r3 - float64(3*mean*r2) + float64(2*n*mean*mean*mean),
		m4: s.r4 - float64(4*mean*s.r3) + float64(6*mean*mean*r2) - float64(3*n*mean*mean*mean*mean),
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
		dd := float64(d * d)
		m.m2 += dd
		m.m3 += float64(dd * d)
		m.m4 += float64(dd * dd)
		down := min(r, 0)
		m.down += float64(down * down)
	}
	return m
}
