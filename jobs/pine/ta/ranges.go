package ta

import (
	"math"

	"millrace/jobs/backtest"
)

// trueRange is that of a bar. On the first one it is na, or high − low with handle.
func trueRange(b *backtest.Bars, bar int, handle bool) float64 {
	h, l := b.High[bar], b.Low[bar]
	if bar == 0 {
		if handle {
			return h - l
		}
		return math.NaN()
	}
	c := b.Close[bar-1]
	return math.Max(h-l, math.Max(math.Abs(h-c), math.Abs(l-c)))
}

// atr is the average true range.
type atr struct {
	bars *backtest.Bars
	mean rma
}

func (a *atr) Reset() { a.mean.Reset() }

func (a *atr) next(bar int, _ float64, n int) float64 {
	return a.mean.next(bar, trueRange(a.bars, bar, true), n)
}

// supertrend is the band in force and its direction, −1 up and 1 down: (factor, n).
type supertrend struct {
	bars         *backtest.Bars
	atr          atr
	lower, upper float64 // of the call before
	trend        float64
	defined      bool // the average true range of the call before was
	any          bool
}

func (s *supertrend) Reset() { s.atr.Reset(); s.any, s.defined = false, false }

func (s *supertrend) Next(bar int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	out[0], out[1] = s.step(bar, args[0], n)
	return nil
}

func (s *supertrend) step(bar int, factor float64, n int) (trend, direction float64) {
	b := s.bars
	range_ := s.atr.next(bar, 0, n)
	mid, width := float64((b.High[bar]+b.Low[bar])/2), float64(factor*range_)
	lower, upper, before := mid-width, mid+width, math.NaN()
	if bar > 0 {
		before = b.Close[bar-1]
	}
	oldLower, oldUpper := 0.0, 0.0
	if s.any && !isNA(s.lower) {
		oldLower = s.lower
	}
	if s.any && !isNA(s.upper) {
		oldUpper = s.upper
	}
	if !(lower > oldLower || before < oldLower) {
		lower = oldLower
	}
	if !(upper < oldUpper || before > oldUpper) {
		upper = oldUpper
	}
	switch {
	case !s.defined:
		direction = 1
	case s.trend == oldUpper:
		direction = 1
		if b.Close[bar] > upper {
			direction = -1
		}
	default:
		direction = -1
		if b.Close[bar] < lower {
			direction = 1
		}
	}
	trend = upper
	if direction < 0 {
		trend = lower
	}
	s.lower, s.upper, s.trend, s.any, s.defined = lower, upper, trend, true, !isNA(range_)
	return trend, direction
}

// dmi is the directional movement and its strength: (n, smoothing).
type dmi struct {
	bars              *backtest.Bars
	size, plus, minus rma
	strength          rma
	lastPlus, lastMin float64
	any               bool
}

func (d *dmi) Reset() {
	d.size.Reset()
	d.plus.Reset()
	d.minus.Reset()
	d.strength.Reset()
	d.any = false
}

func (d *dmi) Next(bar int, args, out []float64) error {
	n, err := length(args[0])
	if err != nil {
		return err
	}
	smoothing, err := length(args[1])
	if err != nil {
		return err
	}
	up, down := math.NaN(), math.NaN()
	if bar > 0 {
		h, l := d.bars.High[bar]-d.bars.High[bar-1], d.bars.Low[bar-1]-d.bars.Low[bar]
		up, down = 0, 0
		if h > l && h > 0 {
			up = h
		}
		if l > h && l > 0 {
			down = l
		}
	}
	size := d.size.next(bar, trueRange(d.bars, bar, false), n)
	plus, minus := 100*d.plus.next(bar, up, n)/size, 100*d.minus.next(bar, down, n)/size
	if !d.any {
		d.lastPlus, d.lastMin, d.any = math.NaN(), math.NaN(), true
	}
	if isNA(plus) {
		plus = d.lastPlus
	}
	if isNA(minus) {
		minus = d.lastMin
	}
	d.lastPlus, d.lastMin = plus, minus
	total := plus + minus
	if total == 0 {
		total = 1
	}
	out[0], out[1], out[2] = plus, minus, 100*d.strength.next(bar, math.Abs(plus-minus)/total, smoothing)
	return nil
}

// sar is the parabolic stop: (start, increment, maximum). A bar on which it does not run leaves it na for good.
type sar struct {
	bars              *backtest.Bars
	value, best, step float64
	below             bool
	last              int
	any, lost         bool
}

func (s *sar) Reset() { s.any, s.lost = false, false; s.value = math.NaN() }

func (s *sar) Next(bar int, args, out []float64) error {
	if !s.any {
		s.value, s.lost = math.NaN(), bar > 0
	} else if bar != s.last+1 {
		s.lost = true
	}
	s.any, s.last = true, bar
	out[0] = math.NaN()
	if s.lost || bar == 0 {
		return nil
	}
	out[0] = s.move(bar, args[0], args[1], args[2])
	return nil
}

func (s *sar) move(bar int, start, increment, maximum float64) float64 {
	b := s.bars
	high, low := b.High[bar], b.Low[bar]
	first := false
	if bar == 1 {
		s.below = b.Close[1] > b.Close[0]
		s.best, s.value = low, b.High[0]
		if s.below {
			s.best, s.value = high, b.Low[0]
		}
		first, s.step = true, start
	}
	s.value += float64(s.step * (s.best - s.value))
	switch {
	case s.below && s.value > low:
		first, s.below = true, false
		s.value, s.best, s.step = math.Max(high, s.best), low, start
	case !s.below && s.value < high:
		first, s.below = true, true
		s.value, s.best, s.step = math.Min(low, s.best), high, start
	}
	if !first && (s.below && high > s.best || !s.below && low < s.best) {
		s.best = low
		if s.below {
			s.best = high
		}
		s.step = math.Min(s.step+increment, maximum)
	}
	for back := 1; back <= 2 && back <= bar; back++ {
		if s.below {
			s.value = math.Min(s.value, b.Low[bar-back])
		} else {
			s.value = math.Max(s.value, b.High[bar-back])
		}
	}
	return s.value
}

// channel is kc and kcw: ema and a multiple of the ema of the range: (x, n, multiple, true range).
type channel struct {
	bars      *backtest.Bars
	mid, size ema
	width     bool
}

func (c *channel) Reset() { c.mid.Reset(); c.size.Reset() }

func (c *channel) Next(bar int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	span := c.bars.High[bar] - c.bars.Low[bar]
	if args[3] != 0 {
		span = trueRange(c.bars, bar, false)
	}
	mid := c.mid.next(bar, args[0], n)
	size := float64(c.size.next(bar, span, n) * args[2])
	if c.width {
		out[0] = (mid + size - (mid - size)) / mid
		return nil
	}
	out[0], out[1], out[2] = mid, mid+size, mid-size
	return nil
}

// wpr is Williams' percent range.
type wpr struct {
	bars      *backtest.Bars
	high, low extreme
}

func newWPR(b *backtest.Bars) *wpr {
	return &wpr{bars: b, high: extreme{sign: 1}, low: extreme{sign: -1}}
}

func (w *wpr) Reset() { w.high.Reset(); w.low.Reset() }

func (w *wpr) next(bar int, _ float64, n int) float64 {
	h, l := w.high.next(bar, w.bars.High[bar], n), w.low.next(bar, w.bars.Low[bar], n)
	return 100 * (w.bars.Close[bar] - h) / (h - l)
}
