package backtest

// Slice is the bars [from, to), sharing their memory: for a run that must see no other bar. The distance between bars stays that of the whole history.
func (b *Bars) Slice(from, to int) *Bars {
	part := &Bars{
		Time: b.Time[from:to:to], Open: b.Open[from:to:to], High: b.High[from:to:to], Low: b.Low[from:to:to],
		Close: b.Close[from:to:to], Volume: b.Volume[from:to:to], interval: b.interval, instrument: b.instrument,
		detail: b.detail.slice(from, to),
	}
	switch {
	case b.days != nil:
		part.days = b.days[from:to:to]
		part.dayEnds = endsOf(part.days)
	case b.dayEnds != nil:
		part.dayEnds = dayEnds(part.Time)
	}
	return part
}
