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

func (s bbReversal) Signals(ind *Indicators, p Params, out *Signals) {
	b := s.bands(ind, p)
	b.signal(len(b.closes), out)
}

func (bbReversal) bands(ind *Indicators, p Params) bands {
	n, closes := int(p[0]), ind.Bars().Close
	return bands{closes: closes, mean: ind.SMA(n)[:len(closes)], dev: ind.Deviation(n)[:len(closes)], width: p[1]}
}

// bands are bands around a mean, and how far the closes were held against them.
type bands struct {
	closes, mean, dev  []float64
	width              float64
	bar                int    // the next
	wasBelow, wasAbove uint64 // on the bar before: outside of the bands
}

// signal signals returns into the bands of the bars before to, which is the last or one after whole words of 64.
func (b *bands) signal(to int, out *Signals) {
	wasBelow, wasAbove, i := b.wasBelow, b.wasAbove, b.bar
	for _, s := range out.outside(b.closes[i:to], b.mean[i:to], b.dev[i:to], b.width) {
		backIn, below, above, backOut := s[0], s[1], s[2], s[3]
		out.bits(i, backIn&(below<<1|wasBelow), backOut&(above<<1|wasAbove))
		wasBelow, wasAbove = below>>63, above>>63
		i += 64
	}
	for ; i < to; i++ {
		c, mean, off := b.closes[i], b.mean[i], float64(b.width*b.dev[i])
		lower, upper := mean-off, mean+off
		out.bits(i, bit(c > lower)&wasBelow, bit(c < upper)&wasAbove)
		wasBelow, wasAbove = bit(c < lower), bit(c > upper)
	}
	b.wasBelow, b.wasAbove, b.bar = wasBelow, wasAbove, to
}

func (bbReversal) averages(p Params, periods []int) []int { return append(periods, int(p[0])) }
