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

func (donchianBreakout) Signals(ind *Indicators, p Params, out []int8) {
	high, low, closes := ind.Highest(int(p[0])), ind.Lowest(int(p[1])), ind.Bars().Close
	for i := 1; i < len(closes); i++ {
		switch {
		case closes[i] > high[i-1]:
			out[i] = 1
		case closes[i] < low[i-1]:
			out[i] = -1
		}
	}
}
