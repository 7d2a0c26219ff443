package backtest

// bbReversal trades the close's return into its Bollinger bands.
type bbReversal struct{}

func (bbReversal) Name() string { return "bb_reversal" }

func (bbReversal) Doc() string {
	return "Long when the close comes back above the lower Bollinger band, short when back below the upper one."
}

func (bbReversal) Params() []ParamSpec {
	return []ParamSpec{
		period("period", 20, 2, 500, "bars of the bands"),
		level("width", 2, 0.1, 10, "standard deviations from the mean"),
	}
}

func (s bbReversal) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (bbReversal) Signals(ind *Indicators, p Params, out *Signals) {
	n, width := int(p[0]), p[1]
	mean, dev, closes := ind.SMA(n), ind.Deviation(n), ind.Bars().Close
	mean, dev = mean[:len(closes)], dev[:len(closes)]
	for i := 0; i < len(closes); {
		lower, upper := mean[i]-float64(width*dev[i]), mean[i]+float64(width*dev[i])
		if closes[i] >= lower && closes[i] <= upper {
			i++
			continue
		}
		wasBelow, wasAbove := closes[i] < lower, closes[i] > upper
		if i++; i == len(closes) {
			return
		}
		switch {
		case wasBelow && closes[i] > mean[i]-float64(width*dev[i]):
			out.Long(i)
		case wasAbove && closes[i] < mean[i]+float64(width*dev[i]):
			out.Short(i)
		}
	}
}
