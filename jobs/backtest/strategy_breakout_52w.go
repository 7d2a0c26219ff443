package backtest

// breakout52w buys new highs of a year.
type breakout52w struct{}

func (breakout52w) Name() string { return "breakout_52w_high" }

func (breakout52w) Doc() string {
	return "Long when the close breaks the high of a year of bars; out when it falls below its exit mean."
}

func (breakout52w) Params() []ParamSpec {
	return []ParamSpec{
		period("lookback", 252, 20, 5000, "bars of a year"),
		period("exit_mean", 50, 2, 2000, "bars of the mean that ends the trade"),
	}
}

func (s breakout52w) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (breakout52w) Signals(ind *Indicators, p Params, out *Signals) {
	period := int(p[1])
	high, mean, closes := ind.Highest(int(p[0])), ind.SMA(period), ind.Bars().Close
	high, mean = high[:len(closes)], mean[:len(closes)]
	wasAbove := uint64(0) // of the bar before: whether the close was not below the mean
	one := func(i int) {
		out.bits(i, bit(i > 0 && closes[i] > high[max(i-1, 0)]), bit(closes[i] < mean[i])&wasAbove)
		wasAbove = bit(closes[i] >= mean[i])
	}
	i := 0
	for ; i < min(period, len(closes)); i++ {
		one(i)
	}
	if allNumbers(mean[i:]) {
		words := len(closes[i:]) / 64
		overs, belows := out.scratch(0, words), out.scratch(1, words)
		above(closes[i:], 64, high[i-1:], 64, overs)
		above(mean[i:], 64, closes[i:], 64, belows)
		for k, below := range belows {
			out.bits(i, overs[k], below&(^below<<1|wasAbove))
			wasAbove = ^below >> 63
			i += 64
		}
	}
	for ; i < len(closes); i++ {
		one(i)
	}
}
