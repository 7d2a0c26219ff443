package ta

import (
	"math"

	"millrace/jobs/backtest"
)

// vwap is the mean weighted by volume since the anchor, and bands of multiples of its deviation:
// (x, anchor, multiple). It is na before the first anchor.
type vwap struct {
	bars                   *backtest.Bars
	value, volume, squares float64
	any                    bool
}

func (v *vwap) Reset() { v.any = false }

func (v *vwap) Next(bar int, args, out []float64) error {
	x, volume := args[0], v.bars.Volume[bar]
	if args[1] != 0 && !isNA(args[1]) {
		v.value, v.volume, v.squares, v.any = 0, 0, 0, true
	}
	if !v.any {
		out[0], out[1], out[2] = math.NaN(), math.NaN(), math.NaN()
		return nil
	}
	if !isNA(x) {
		v.value += float64(x * volume)
		v.volume += volume
		v.squares += float64(float64(x*x) * volume)
	}
	mean := v.value / v.volume
	dev := math.Sqrt(math.Max(0, v.squares/v.volume-float64(mean*mean)))
	out[0], out[1], out[2] = mean, mean+float64(dev*args[2]), mean-float64(dev*args[2])
	return nil
}

// cumulative is a running total that reads the bars: na until its first value.
type cumulative struct {
	bars *backtest.Bars
	step func(b *backtest.Bars, bar int) float64
	sum  float64
}

func newCumulative(b *backtest.Bars, step func(*backtest.Bars, int) float64) *cumulative {
	return &cumulative{bars: b, step: step, sum: math.NaN()}
}

func (c *cumulative) Reset() { c.sum = math.NaN() }

func (c *cumulative) Next(bar int, _, out []float64) error {
	switch x := c.step(c.bars, bar); {
	case isNA(x):
	case isNA(c.sum):
		c.sum = x
	default:
		c.sum += x
	}
	out[0] = c.sum
	return nil
}

// perBar is a function of one bar alone.
func perBar(b *backtest.Bars, f func(b *backtest.Bars, bar int) float64) Kernel {
	return &steps{step: func(bar int, _, out []float64) { out[0] = f(b, bar) }, reset: func() {}}
}

func obvStep(b *backtest.Bars, i int) float64 {
	if i == 0 {
		return math.NaN()
	}
	return side(b.Close[i], b.Close[i-1]) * b.Volume[i]
}

func pvtStep(b *backtest.Bars, i int) float64 {
	if i == 0 {
		return math.NaN()
	}
	return (b.Close[i] - b.Close[i-1]) / b.Close[i-1] * b.Volume[i]
}

func accdistStep(b *backtest.Bars, i int) float64 {
	h, l, c := b.High[i], b.Low[i], b.Close[i]
	if h == l {
		return 0
	}
	return (float64(2*c) - l - h) / (h - l) * b.Volume[i]
}

func wadStep(b *backtest.Bars, i int) float64 {
	if i == 0 {
		return 0
	}
	c, before := b.Close[i], b.Close[i-1]
	switch {
	case c > before:
		return c - math.Min(b.Low[i], before)
	case c < before:
		return c - math.Max(b.High[i], before)
	}
	return 0
}

func wvad(b *backtest.Bars, i int) float64 {
	return (b.Close[i] - b.Open[i]) / (b.High[i] - b.Low[i]) * b.Volume[i]
}

func iii(b *backtest.Bars, i int) float64 {
	h, l, c := b.High[i], b.Low[i], b.Close[i]
	return (float64(2*c) - h - l) / (float64((h - l) * b.Volume[i]))
}

// volumeIndex is nvi (sign −1) and pvi (sign 1): it follows the close on bars whose volume fell, or rose.
type volumeIndex struct {
	bars  *backtest.Bars
	sign  float64
	value float64
}

func (v *volumeIndex) Reset() { v.value = 1 }

func (v *volumeIndex) Next(bar int, _, out []float64) error {
	b := v.bars
	if bar > 0 && side(b.Volume[bar], b.Volume[bar-1]) == v.sign {
		v.value += float64((b.Close[bar] - b.Close[bar-1]) / b.Close[bar-1] * v.value)
	}
	out[0] = v.value
	return nil
}
