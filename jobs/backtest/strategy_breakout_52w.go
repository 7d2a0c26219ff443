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

func (breakout52w) Signals(ind *Indicators, p Params, out []int8) {
	high, mean, closes := ind.Highest(int(p[0])), ind.SMA(int(p[1])), ind.Bars().Close
	for i := 1; i < len(closes); i++ {
		switch {
		case closes[i] > high[i-1]:
			out[i] = 1
		case closes[i] < mean[i] && closes[i-1] >= mean[i-1]:
			out[i] = -1
		}
	}
}
