package backtest

// smaCross follows a fast simple mean crossing a slow one.
type smaCross struct{}

func (smaCross) Name() string { return "sma_cross" }

func (smaCross) Doc() string {
	return "Long when the fast simple moving average crosses above the slow one, short when below."
}

func (smaCross) Params() []ParamSpec {
	return []ParamSpec{
		period("fast", 10, 1, 1000, "bars of the fast mean"),
		period("slow", 50, 2, 5000, "bars of the slow mean"),
	}
}

func (s smaCross) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (smaCross) Signals(ind *Indicators, p Params, out *Signals) {
	cross(ind.SMA(int(p[0])), ind.SMA(int(p[1])), out)
}

func (smaCross) averages(p Params, periods []int) []int { return append(periods, int(p[0]), int(p[1])) }
