package backtest

// emaCross follows a fast exponential mean crossing a slow one.
type emaCross struct{}

func (emaCross) Name() string { return "ema_cross" }

func (emaCross) Doc() string {
	return "Long when the fast exponential moving average crosses above the slow one, short when below."
}

func (emaCross) Params() []ParamSpec {
	return []ParamSpec{
		period("fast", 12, 1, 1000, "bars of the fast mean"),
		period("slow", 26, 2, 5000, "bars of the slow mean"),
	}
}

func (s emaCross) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (emaCross) Signals(ind *Indicators, p Params, out *Signals) {
	cross(ind.EMA(int(p[0])), ind.EMA(int(p[1])), out)
}
