package backtest

// macdCross follows the MACD line crossing its signal line.
type macdCross struct{}

func (macdCross) Name() string { return "macd_cross" }

func (macdCross) Doc() string {
	return "Long when the MACD line crosses above its signal line, short when below."
}

func (macdCross) Params() []ParamSpec {
	return []ParamSpec{
		period("fast", 12, 1, 500, "bars of the fast mean"),
		period("slow", 26, 2, 2000, "bars of the slow mean"),
		period("signal", 9, 1, 500, "bars of the signal line"),
	}
}

func (s macdCross) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (macdCross) Signals(ind *Indicators, p Params, out *Signals) {
	fast, slow, signal := int(p[0]), int(p[1]), int(p[2])
	cross(ind.MACD(fast, slow), ind.MACDSignal(fast, slow, signal), out)
}

// MACDSignal is the exponential mean of MACD(fast, slow).
func (ind *Indicators) MACDSignal(fast, slow, signal int) []float64 {
	macd := ind.MACD(fast, slow)
	return ind.cached(indicatorKey{kind: "macd_signal", period: fast, second: slow<<16 | signal}, func(out []float64) {
		ema(macd, signal, out)
	})
}
