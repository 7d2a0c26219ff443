package backtest

// bbReversal trades the close's return into its Bollinger bands.
type bbReversal struct{}

func (bbReversal) Name() string { return "bb_reversal" }

func (bbReversal) Doc() string {
	return "Long when the close comes back above the lower Bollinger band, short when back below the upper one."
}

func (bbReversal) Params() []ParamSpec {
	return []ParamSpec{
		period("period", 20, 2, 500, "bars of the bands"),
		level("width", 2, 0.1, 10, "standard deviations from the mean"),
	}
}

func (s bbReversal) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (bbReversal) Signals(ind *Indicators, p Params, out *Signals) {
	n, width := int(p[0]), p[1]
	mean, dev, closes := ind.SMA(n), ind.Deviation(n), ind.Bars().Close
	mean, dev = mean[:len(closes)], dev[:len(closes)]
	wasBelow, wasAbove := uint64(0), uint64(0) // of the bar before: outside of the bands
	i := 0
	for _, s := range out.outside(closes, mean, dev, width) {
		backIn, below, above, backOut := s[0], s[1], s[2], s[3]
		out.bits(i, backIn&(below<<1|wasBelow), backOut&(above<<1|wasAbove))
		wasBelow, wasAbove = below>>63, above>>63
		i += 64
	}
	for ; i < len(closes); i++ {
		lower, upper := mean[i]-float64(width*dev[i]), mean[i]+float64(width*dev[i])
		out.bits(i, bit(closes[i] > lower)&wasBelow, bit(closes[i] < upper)&wasAbove)
		wasBelow, wasAbove = bit(closes[i] < lower), bit(closes[i] > upper)
	}
}

func (bbReversal) averages(p Params, periods []int) []int { return append(periods, int(p[0])) }
