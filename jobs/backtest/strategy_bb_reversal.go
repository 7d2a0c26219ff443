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

func (bbReversal) Signals(ind *Indicators, p Params, out []int8) {
	n, width := int(p[0]), p[1]
	mean, dev, closes := ind.SMA(n), ind.Deviation(n), ind.Bars().Close
	for i := n; i < len(closes); i++ {
		lower, lowerBefore := mean[i]-width*dev[i], mean[i-1]-width*dev[i-1]
		upper, upperBefore := mean[i]+width*dev[i], mean[i-1]+width*dev[i-1]
		switch {
		case closes[i-1] <= lowerBefore && closes[i] > lower:
			out[i] = 1
		case closes[i-1] >= upperBefore && closes[i] < upper:
			out[i] = -1
		}
	}
}
