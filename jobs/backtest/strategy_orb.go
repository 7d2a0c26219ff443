package backtest

// openingRange trades the first close of a day out of the range of its opening bars.
type openingRange struct{}

func (openingRange) Name() string { return "orb" }

func (openingRange) Doc() string {
	return "Opening-range breakout: once a UTC day, long at the first close above the range of its opening bars, short below. Needs several bars a day."
}

func (openingRange) Params() []ParamSpec {
	return []ParamSpec{period("bars", 4, 1, 500, "bars of the opening range")}
}

func (s openingRange) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (openingRange) Signals(ind *Indicators, p Params, out *Signals) {
	b, opening := ind.Bars(), int(p[0])
	if b.dayEnds == nil {
		return
	}
	from := 0
	for _, end := range b.dayEnds {
		to := int(end) + 1
		breakout(b, from, min(from+opening, to), to, out)
		from = to
	}
}

// breakout signals the first close in bars [opened, to) that is out of the range of bars
// [from, opened).
func breakout(b *Bars, from, opened, to int, out *Signals) {
	high, low := b.High[from], b.Low[from]
	for i := from; i < opened; i++ {
		high, low = max(high, b.High[i]), min(low, b.Low[i])
	}
	for i, c := range b.Close[opened:to] {
		if c > high {
			out.Long(opened + i)
			return
		}
		if c < low {
			out.Short(opened + i)
			return
		}
	}
}
