package backtest

import "math"

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
	high, mean, closes := ind.Highest(int(p[0])), ind.SMA(int(p[1])), ind.Bars().Close
	high, mean = high[:len(closes)], mean[:len(closes)]
	w := out.writer(len(closes))
	highest, wasAbove := math.NaN(), signal(0) // one bar before: the high, and the close not below the mean
	for i, c := range closes {
		w.write(i, bit(c > highest), bit(c < mean[i])&wasAbove)
		highest, wasAbove = high[i], bit(c >= mean[i])
	}
	out.finish(w)
}
