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
	for i := 0; i < len(rsi); {
		if i >= int(p[0]) && allNumbers(rsi[i:]) {
			above, _ := compare64((*[64]float64)(rsi[i:]), &oversold)
			_, below := compare64((*[64]float64)(rsi[i:]), &overbought)
			out.bits(i, above&(^above<<1|wasLow), below&(^below<<1|wasHigh))
			wasLow, wasHigh = ^above>>63, ^below>>63
			i += 64
			continue
		}
		out.bits(i, bit(rsi[i] > p[1])&wasLow, bit(rsi[i] < p[2])&wasHigh)
		wasLow, wasHigh = bit(rsi[i] <= p[1]), bit(rsi[i] >= p[2])
		i++
	}
}
