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
	rsi := ind.RSI(int(p[0]))
	var oversold, overbought [64]float64
	for i := range oversold {
		oversold[i], overbought[i] = p[1], p[2]
	}
	wasLow, wasHigh := uint64(0), uint64(0) // of the bar before: at an extreme
	one := func(i int) {
		out.bits(i, bit(rsi[i] > p[1])&wasLow, bit(rsi[i] < p[2])&wasHigh)
		wasLow, wasHigh = bit(rsi[i] <= p[1]), bit(rsi[i] >= p[2])
	}
	i := min(int(p[0]), len(rsi)) // before it nothing is a number, which is at no extreme
	if allNumbers(rsi[i:]) {
		words := len(rsi[i:]) / 64
		overs, unders := out.scratch(0, words), out.scratch(1, words)
		above(rsi[i:], 64, oversold[:], 0, overs)
		above(overbought[:], 0, rsi[i:], 64, unders)
		for k, over := range overs {
			under := unders[k]
			out.bits(i, over&(^over<<1|wasLow), under&(^under<<1|wasHigh))
			wasLow, wasHigh = ^over>>63, ^under>>63
			i += 64
		}
	}
	for ; i < len(rsi); i++ {
		one(i)
	}
}
