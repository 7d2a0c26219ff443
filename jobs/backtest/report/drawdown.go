package report

import (
	"cmp"
	"slices"

	"millrace/jobs/backtest"
)

// Drawdown is one time below an earlier peak.
type Drawdown struct {
	DepthPct       float64 // at the trough, below the peak
	Peak, Trough   int64   // times of the bars
	Recovered      int64   // of the first bar at or above the peak; 0: not recovered at the end
	Bars           int     // below the peak, as backtest.BarsBelow counts them
	BarsToTrough   int     // from the peak; the starting cash is that of the bar before the first
	BarsToRecovery int     // from the trough; 0 while not recovered
}

// Underwater is how far each bar's equity is below the highest before it, in percent, as a number that
// is 0 or negative.
func (c Curve) Underwater() []float64 {
	down := make([]float64, len(c.Equity))
	peak := c.Start
	for i, e := range c.Equity {
		peak = max(peak, e)
		if peak > 0 {
			down[i] = 100 * (e/peak - 1)
		}
	}
	return down
}

// Drawdowns are the deepest, deepest first; at most most of them. A peak before the first bar, at Start,
// has the first bar's time.
func (c Curve) Drawdowns(most int) []Drawdown {
	var all []Drawdown
	at := func(i int) int64 { return c.Bars.Time[c.Window.From+max(i, 0)] }
	peakAt, peak := -1, c.Start
	trough := -1 // of the drawdown that is open; −1: none is
	end := func(i int, recovered bool) {
		d := Drawdown{
			DepthPct: 100 * (1 - c.Equity[trough]/peak), Peak: at(peakAt), Trough: at(trough),
			Bars: backtest.BarsBelow(peakAt, i), BarsToTrough: trough - peakAt,
		}
		if recovered {
			d.Recovered, d.BarsToRecovery = at(i), i-trough
		}
		all = append(all, d)
	}
	for i, e := range c.Equity {
		switch {
		case e >= peak:
			if trough >= 0 {
				end(i, true)
			}
			peakAt, peak, trough = i, e, -1
		case trough < 0 || e < c.Equity[trough]:
			trough = i
		}
	}
	if trough >= 0 {
		end(len(c.Equity), false)
	}
	slices.SortStableFunc(all, func(a, b Drawdown) int { return cmp.Compare(b.DepthPct, a.DepthPct) })
	return all[:min(most, len(all))]
}
