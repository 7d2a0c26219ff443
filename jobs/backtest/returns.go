package backtest

// AppendReturns adds the per-period returns of an equity curve over the window's bars, begun from
// start, as Metrics are computed from: those of days, or of bars when bars are a day or longer.
func (b *Bars) AppendReturns(to []float64, w Window, start float64, equity []float64) []float64 {
	for i, e := range equity {
		at := w.From + i
		if b.interval < 20*microsPerHour && i+1 < len(equity) && b.sameDay(at, at+1) {
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

// PeriodsPerYear is the number of such returns in a year, by which figures are annualised.
func (b *Bars) PeriodsPerYear(calendar Calendar) float64 { return b.periodsPerYear(calendar) }
