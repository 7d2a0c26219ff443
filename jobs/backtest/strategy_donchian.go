package backtest

// donchianBreakout follows a close out of the channel of the bars before it.
type donchianBreakout struct{}

func (donchianBreakout) Name() string { return "donchian_breakout" }

func (donchianBreakout) Doc() string {
	return "Long when the close breaks the highest high of the bars before, short at their lowest low."
}

func (donchianBreakout) Params() []ParamSpec {
	return []ParamSpec{
		period("entry", 20, 2, 2000, "bars of the channel broken upwards"),
		period("exit", 10, 2, 2000, "bars of the channel broken downwards"),
	}
}

func (s donchianBreakout) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (donchianBreakout) Signals(ind *Indicators, p Params, out *Signals) {
	high, low, closes := ind.Highest(int(p[0])), ind.Lowest(int(p[1])), ind.Bars().Close
	high, low = high[:len(closes)], low[:len(closes)]
	i := 1
	if len(closes) > 1 {
		i = out.beyond(1, closes[1:], high, low)
	}
	for ; i < len(closes); i++ {
		out.bits(i, bit(closes[i] > high[i-1]), bit(closes[i] < low[i-1]))
	}
}
