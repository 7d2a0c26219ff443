package backtest

import "math"

// compensated is a sum whose rounding errors are summed beside it (Knuth's TwoSum, as in Neumaier's
// summation): a plain running sum drifts, and a drift of one ulp flips crosses that are nearly ties.
type compensated struct{ sum, lost float64 }

// replace adds a value and takes an earlier one out. The value's own rounding is that of the
// difference, so that each step waits for one addition to the sum.
func (c *compensated) replace(in, out float64) {
	d := in - out
	w := in - d
	c.lost += (in - (d + w)) + (w - out)
	c.add(d)
}

func (c *compensated) add(v float64) {
	t := c.sum + v
	w := t - c.sum
	c.lost += (c.sum - (t - w)) + (v - w)
	c.sum = t
}

// warmUp writes NaN until a window of period values is full.
func warmUp(period int, out []float64) {
	for i := range min(period-1, len(out)) {
		out[i] = math.NaN()
	}
}

// rollingMean writes the mean of the last period values.
func rollingMean(values []float64, period int, out []float64) {
	if c, ok := firstMean(values, period, out); ok {
		c.means(values, period, period, len(values), out)
	}
}

// firstMean writes the means up to that of the first period values, and returns their sum, unless there are fewer.
func firstMean(values []float64, period int, out []float64) (c compensated, ok bool) {
	warmUp(period, out)
	if len(values) < period {
		return c, false
	}
	for _, v := range values[:period] {
		c.add(v)
	}
	out[period-1] = (c.sum + c.lost) / float64(period)
	return c, true
}

// means writes the means that end with the values [from, to), given the sum of the window before.
func (c *compensated) means(values []float64, period, from, to int, out []float64) {
	n, in, outgoing := float64(period), values[from:to], values[from-period:to-period]
	out, outgoing = out[from:to], outgoing[:len(in)]
	sum := *c
	for i, v := range in {
		sum.replace(v, outgoing[i])
		out[i] = (sum.sum + sum.lost) / n
	}
	*c = sum
}

// rollingDeviation writes the population standard deviation of the last period values, given their
// means. It keeps Σ(v−anchor) and Σ(v−anchor)² compensated, with an anchor that is moved to the mean
// of the window once every period, and looks at the whole window where the mean is so far from the
// anchor that taking (mean−anchor)² away again would cost more than five of the sixteen digits.
func rollingDeviation(values, means []float64, period int, out []float64) {
	warmUp(period, out)
	n := float64(period)
	var sum, squares compensated
	var anchor float64
	for i := period - 1; i < len(values); i++ {
		window := values[i-period+1 : i+1]
		if (i+1)%period == 0 {
			anchor = means[i]
			sum, squares = compensated{}, compensated{}
			for _, v := range window {
				sum.add(v - anchor)
				squares.add(float64((v - anchor) * (v - anchor)))
			}
		} else {
			in, gone := values[i]-anchor, values[i-period]-anchor
			sum.replace(in, gone)
			squares.replace(float64(in*in), float64(gone*gone))
		}
		shift := (sum.sum + sum.lost) / n
		variance := (squares.sum+squares.lost)/n - float64(shift*shift)
		if !(variance > 1e-5*shift*shift) {
			variance = 0
			for _, v := range window {
				variance += float64((v - means[i]) * (v - means[i]))
			}
			variance /= n
		}
		out[i] = math.Sqrt(variance)
	}
}

// rollingMax writes sign·max(sign·values) over the last period values, in two comparisons a value
// whatever the values (van Herk 1992; Gil & Werman 1993): values are cut into blocks of a period, so
// that every window is the end of one block and the beginning of the next.
func rollingMax(values []float64, period int, sign float64, out []float64) {
	warmUp(period, out)
	ends := make([]float64, period) // highest of the block from each place on
	for from := 0; from+period <= len(values); from += period {
		highest := math.Inf(-1)
		for i := period - 1; i >= 0; i-- {
			highest = max(highest, sign*values[from+i])
			ends[i] = highest
		}
		highest = math.Inf(-1) // of the next block up to the window's end
		last := from + period - 1
		for i, end := range ends[:min(period, len(values)-last)] {
			if i > 0 {
				highest = max(highest, sign*values[last+i])
			}
			out[last+i] = sign * max(end, highest)
		}
	}
}
