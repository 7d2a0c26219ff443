package backtest

// rsiReversal trades the return from an extreme of the relative strength index.
type rsiReversal struct{}

func (rsiReversal) Name() string { return "rsi_reversal" }

func (rsiReversal) Doc() string {
	return "Long when the RSI comes back above the oversold level, short when it falls back below the overbought one."
}

func (rsiReversal) Params() []ParamSpec {
	return []ParamSpec{
		period("period", 14, 2, 500, "bars of the RSI"),
		level("oversold", 30, 1, 50, "level that ends a fall"),
		level("overbought", 70, 50, 99, "level that ends a rise"),
	}
}

func (s rsiReversal) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (rsiReversal) Signals(ind *Indicators, p Params, out *Signals) {
	rsi, oversold, overbought := ind.RSI(int(p[0])), p[1], p[2]
	for i := 0; i < len(rsi); {
		if rsi[i] > oversold && rsi[i] < overbought {
			i++
			continue
		}
		wasBelow, wasAbove := rsi[i] <= oversold, rsi[i] >= overbought
		if i++; i == len(rsi) {
			return
		}
		switch {
		case wasBelow && rsi[i] > oversold:
			out.Long(i)
		case wasAbove && rsi[i] < overbought:
			out.Short(i)
		}
	}
}
