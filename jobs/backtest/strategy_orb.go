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

func (openingRange) Signals(ind *Indicators, p Params, out []int8) {
	b, opening := ind.Bars(), int(p[0])
	if b.dayEnds == nil {
		return
	}
	var high, low float64
	inDay, traded := 0, false
	for i := range out {
		switch {
		case inDay == 0:
			high, low, traded = b.High[i], b.Low[i], false
		case inDay < opening:
			high, low = max(high, b.High[i]), min(low, b.Low[i])
		case !traded && b.Close[i] > high:
			out[i], traded = 1, true
		case !traded && b.Close[i] < low:
			out[i], traded = -1, true
		}
		if inDay++; b.dayEnds[i] {
			inDay = 0
		}
	}
}
