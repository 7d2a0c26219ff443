package backtest

import "time"

// AppendReturns adds the per-period returns of an equity curve over the window's bars, begun from
// start, as Metrics are computed from: those of days, or of bars when bars are a day or longer.
func (b *Bars) AppendReturns(to []float64, w Window, start float64, equity []float64) []float64 {
	for i, e := range equity {
		at := w.From + i
		if i+1 < len(equity) && !b.endsPeriod(at) {
			continue
		}
		if start > 0 {
			to = append(to, e/start-1)
		} else {
			to = append(to, 0) // a ruined account has no returns
		}
		start = e
	}
	return to
}

// endsPeriod reports whether a return ends with a bar that has another after it.
func (b *Bars) endsPeriod(at int) bool {
	return b.interval >= 20*microsPerHour || !b.sameDay(at, at+1)
}

// PeriodEnds are the bars of the window with which the returns of AppendReturns end, one each.
func (b *Bars) PeriodEnds(w Window) []int {
	var ends []int
	for at := w.From; at < w.To; at++ {
		if at+1 == w.To || b.endsPeriod(at) {
			ends = append(ends, at)
		}
	}
	return ends
}

// Zone is the time zone that days and months of the bars are counted in: the instrument's, and UTC for
// bars of a day or longer, which carry the date itself.
func (b *Bars) Zone() *time.Location {
	if b.interval >= 20*microsPerHour {
		return time.UTC
	}
	zone, _, fault := b.instrument.dayEnd()
	if fault != nil {
		return time.UTC
	}
	return zone
}

// PeriodsPerYear is the number of such returns in a year, by which figures are annualised.
func (b *Bars) PeriodsPerYear(calendar Calendar) float64 { return b.periodsPerYear(calendar) }
