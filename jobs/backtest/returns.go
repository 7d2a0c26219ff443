package backtest

// AppendReturns adds the per-period returns of an equity curve over the window's bars, begun from
// start, as Metrics are computed from: those of days, or of bars when bars are a day or longer.
func (b *Bars) AppendReturns(to []float64, w Window, start float64, equity []float64) []float64 {
	for i, e := range equity {
		at := w.From + i
		if b.interval < 20*microsPerHour && i+1 < len(equity) && floorDay(b.Time[at]) == floorDay(b.Time[at+1]) {
			continue
		}
		if start > 0 {
			to = append(to, e/start-1)
		} else {
			to = append(to, 0) // nothing grows from ruin
		}
		start = e
	}
	return to
}

// PeriodsPerYear is by how many such returns a year has they are annualised.
func (b *Bars) PeriodsPerYear(calendar Calendar) float64 { return b.periodsPerYear(calendar) }
