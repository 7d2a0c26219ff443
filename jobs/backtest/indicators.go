package backtest

import "math"

// indicatorBytes bounds what one Indicators keeps. Trials of a grid that share a period find its
// array here; a sweep over more periods than fit recomputes the least recently used.
const indicatorBytes = 128 << 20

// Indicators computes indicator arrays over a history and keeps them for the trials that follow.
// Values before an indicator's warm-up are NaN, which compares false. Arrays belong to the cache:
// they may be reused after eight more have been asked for. Not safe for concurrent use.
type Indicators struct {
	bars  *Bars
	kept  map[indicatorKey]*indicatorArray
	limit int
	clock uint64
}

type indicatorKey struct {
	kind   string
	period int
	second int
}

type indicatorArray struct {
	values []float64
	used   uint64
}

// NewIndicators makes an empty cache over the bars.
func NewIndicators(b *Bars) *Indicators {
	return &Indicators{bars: b, kept: map[indicatorKey]*indicatorArray{}, limit: max(8, indicatorBytes/(8*max(1, b.Len())))}
}

// Bars is the history the indicators are computed over.
func (ind *Indicators) Bars() *Bars { return ind.bars }

// cached finds the array of key, or fills one, taking over the least recently used when full.
func (ind *Indicators) cached(key indicatorKey, fill func(out []float64)) []float64 {
	ind.clock++
	if a := ind.kept[key]; a != nil {
		a.used = ind.clock
		return a.values
	}
	a := ind.evict()
	if a == nil {
		a = &indicatorArray{values: make([]float64, ind.bars.Len())}
	}
	fill(a.values)
	// fill may have asked for other arrays; this one is the newest.
	ind.clock++
	a.used = ind.clock
	ind.kept[key] = a
	return a.values
}

func (ind *Indicators) evict() *indicatorArray {
	if len(ind.kept) < ind.limit {
		return nil
	}
	var oldest indicatorKey
	used := uint64(math.MaxUint64)
	for key, a := range ind.kept {
		if a.used < used {
			oldest, used = key, a.used
		}
	}
	a := ind.kept[oldest]
	delete(ind.kept, oldest)
	return a
}

// SMA is the mean of the last period closes.
func (ind *Indicators) SMA(period int) []float64 {
	return ind.cached(indicatorKey{kind: "sma", period: period}, func(out []float64) {
		rollingMean(ind.bars.Close, period, out)
	})
}

// rollingMean keeps its sum by Neumaier's compensated summation: a plain running sum drifts, and a
// drift of one ulp flips crosses that are nearly ties.
func rollingMean(values []float64, period int, out []float64) {
	var sum, lost float64
	add := func(v float64) {
		t := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			lost += (sum - t) + v
		} else {
			lost += (v - t) + sum
		}
		sum = t
	}
	n := float64(period)
	for i, v := range values {
		add(v)
		if i >= period {
			add(-values[i-period])
		}
		if i >= period-1 {
			out[i] = (sum + lost) / n
		} else {
			out[i] = math.NaN()
		}
	}
}

// Deviation is the population standard deviation of the last period closes.
func (ind *Indicators) Deviation(period int) []float64 {
	mean := ind.SMA(period)
	return ind.cached(indicatorKey{kind: "std", period: period}, func(out []float64) {
		closes := ind.bars.Close
		for i := range closes {
			if i < period-1 {
				out[i] = math.NaN()
				continue
			}
			// Two-pass a bar: a rolling sum of squares cancels badly for prices far from zero.
			var squares float64
			for _, c := range closes[i-period+1 : i+1] {
				d := c - mean[i]
				squares += d * d
			}
			out[i] = math.Sqrt(squares / float64(period))
		}
	})
}

// EMA is the exponential mean of closes with weight 2/(period+1), begun at the first period's
// simple mean.
func (ind *Indicators) EMA(period int) []float64 {
	return ind.cached(indicatorKey{kind: "ema", period: period}, func(out []float64) {
		ema(ind.bars.Close, period, out)
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
			last += weight * (v - last)
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
		closes := ind.bars.Close
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
		b := ind.bars
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
		rollingMax(ind.bars.High, period, 1, out)
	})
}

// Lowest is the lowest low of the last period bars, this one included.
func (ind *Indicators) Lowest(period int) []float64 {
	return ind.cached(indicatorKey{kind: "lowest", period: period}, func(out []float64) {
		rollingMax(ind.bars.Low, period, -1, out)
	})
}

// rollingMax writes sign·max(sign·values) over the last period values. A scan that starts again
// only when the maximum leaves the window is linear on prices, and needs no queue.
func rollingMax(values []float64, period int, sign float64, out []float64) {
	at := -1
	for i, v := range values {
		if at < 0 || sign*v >= sign*values[at] {
			at = i
		} else if at <= i-period {
			at = i - period + 1
			for j := at + 1; j <= i; j++ {
				if sign*values[j] >= sign*values[at] {
					at = j
				}
			}
		}
		out[i] = values[at]
		if i < period-1 {
			out[i] = math.NaN()
		}
	}
}
