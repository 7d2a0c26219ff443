package backtest

import "math"

// SMA is the mean of the last period closes.
func (ind *Indicators) SMA(period int) []float64 {
	return ind.cached(indicatorKey{kind: "sma", period: period}, func(out []float64) {
		rollingMean(ind.Bars().Close, period, out)
	})
}

// Deviation is the population standard deviation of the last period closes.
func (ind *Indicators) Deviation(period int) []float64 {
	mean := ind.SMA(period)
	return ind.cached(indicatorKey{kind: "std", period: period}, func(out []float64) {
		rollingDeviation(ind.Bars().Close, mean, period, out)
	})
}

// EMA is the exponential mean of closes with weight 2/(period+1), begun at the first period's
// simple mean.
func (ind *Indicators) EMA(period int) []float64 {
	return ind.cached(indicatorKey{kind: "ema", period: period}, func(out []float64) {
		ema(ind.Bars().Close, period, out)
	})
}

// ema starts at the first value that is not NaN.
func ema(values []float64, period int, out []float64) {
	weight := 2 / float64(period+1)
	var sum, last float64
	seen := 0
	for i, v := range values {
		out[i] = math.NaN()
		if math.IsNaN(v) {
			continue
		}
		seen++
		switch {
		case seen < period:
			sum += v
			continue
		case seen == period:
			last = (sum + v) / float64(period)
		default:
			last += float64(weight * (v - last))
		}
		out[i] = last
	}
}

// MACD is EMA(fast) − EMA(slow).
func (ind *Indicators) MACD(fast, slow int) []float64 {
	f, s := ind.EMA(fast), ind.EMA(slow)
	return ind.cached(indicatorKey{kind: "macd", period: fast, second: slow}, func(out []float64) {
		for i := range out {
			out[i] = f[i] - s[i]
		}
	})
}

// RSI is Wilder's relative strength index, 0 to 100; 50 while nothing has moved.
func (ind *Indicators) RSI(period int) []float64 {
	return ind.cached(indicatorKey{kind: "rsi", period: period}, func(out []float64) {
		closes := ind.Bars().Close
		var gain, loss float64
		n := float64(period)
		for i := range closes {
			out[i] = math.NaN()
			if i == 0 {
				continue
			}
			move := closes[i] - closes[i-1]
			up, down := max(move, 0), max(-move, 0)
			if i <= period {
				gain += up / n
				loss += down / n
			} else {
				gain += (up - gain) / n
				loss += (down - loss) / n
			}
			switch {
			case i < period:
			case gain+loss == 0:
				out[i] = 50
			default:
				out[i] = 100 * gain / (gain + loss)
			}
		}
	})
}

// ATR is Wilder's average true range, in price.
func (ind *Indicators) ATR(period int) []float64 {
	return ind.cached(indicatorKey{kind: "atr", period: period}, func(out []float64) {
		b := ind.Bars()
		n := float64(period)
		var atr float64
		for i := range out {
			span := b.High[i] - b.Low[i]
			if i > 0 {
				span = max(span, math.Abs(b.High[i]-b.Close[i-1]), math.Abs(b.Low[i]-b.Close[i-1]))
			}
			if i < period {
				atr += span / n
			} else {
				atr += (span - atr) / n
			}
			out[i] = atr
			if i < period-1 {
				out[i] = math.NaN()
			}
		}
	})
}

// Highest is the highest high of the last period bars, this one included.
func (ind *Indicators) Highest(period int) []float64 {
	return ind.cached(indicatorKey{kind: "highest", period: period}, func(out []float64) {
		rollingMax(ind.Bars().High, period, 1, out)
	})
}

// Lowest is the lowest low of the last period bars, this one included.
func (ind *Indicators) Lowest(period int) []float64 {
	return ind.cached(indicatorKey{kind: "lowest", period: period}, func(out []float64) {
		rollingMax(ind.Bars().Low, period, -1, out)
	})
}
