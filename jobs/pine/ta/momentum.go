package ta

import (
	"cmp"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// rsi is Wilder's relative strength index.
type rsi struct {
	last     float64
	any      bool
	up, down rma
}

func (r *rsi) Reset() { r.up.Reset(); r.down.Reset(); r.any = false }

func (r *rsi) next(bar int, x float64, n int) float64 {
	if isNA(x) {
		return x
	}
	last, any := r.last, r.any
	r.last, r.any = x, true
	if !any {
		return math.NaN()
	}
	d := x - last
	u, w := r.up.next(bar, math.Max(d, 0), n), r.down.next(bar, math.Max(-d, 0), n)
	switch {
	case isNA(u):
		return u
	case w == 0:
		return 100
	case u == 0:
		return 0
	}
	return 100 - 100/(1+u/w)
}

// difference is change, mom and roc.
type difference struct {
	past  history
	ratio bool
}

func (d *difference) Reset() { d.past.Reset() }

func (d *difference) next(_ int, x float64, n int) float64 {
	d.past.push(x)
	old := d.past.back(n)
	if d.ratio {
		return 100 * (x - old) / old
	}
	return x - old
}

// cci is the commodity channel index.
type cci struct {
	mean sma
	past history
}

func (c *cci) Reset() { c.mean.Reset(); c.past.Reset() }

func (c *cci) next(bar int, x float64, n int) float64 {
	c.past.push(x)
	mean := c.mean.next(bar, x, n)
	dev := meanDeviation(c.past.tail(n), mean)
	return (x - mean) / (0.015 * dev)
}

// meanDeviation is the mean absolute distance of the values from their mean, NaN without values.
func meanDeviation(v []float64, mean float64) float64 {
	if v == nil {
		return math.NaN()
	}
	total := 0.0
	for i := len(v) - 1; i >= 0; i-- {
		total += math.Abs(v[i] - mean)
	}
	return total / float64(len(v))
}

// dev is the mean absolute deviation.
type dev struct {
	mean sma
	past history
}

func (d *dev) Reset() { d.mean.Reset(); d.past.Reset() }

func (d *dev) next(bar int, x float64, n int) float64 {
	d.past.push(x)
	mean := d.mean.next(bar, x, n)
	return meanDeviation(d.past.tail(n), mean)
}

// cmo is Chande's momentum oscillator.
type cmo struct {
	past     history
	up, down sum
}

func (c *cmo) Reset() { c.past.Reset(); c.up.Reset(); c.down.Reset() }

func (c *cmo) next(_ int, x float64, n int) float64 {
	c.past.push(x)
	d := x - c.past.back(1)
	up, down := d, 0.0
	if d < -tolerance {
		up, down = 0, -d
	}
	if isNA(d) {
		up, down = d, d
	}
	c.up.add(up, n)
	c.down.add(down, n)
	u, w := c.up.value(), c.down.value()
	return 100 * (u - w) / (u + w)
}

// mfi is the money flow index.
type mfi struct {
	bars     *backtest.Bars
	past     history
	up, down sum
}

func (m *mfi) Reset() { m.past.Reset(); m.up.Reset(); m.down.Reset() }

func (m *mfi) next(bar int, x float64, n int) float64 {
	m.past.push(x)
	d, volume := x-m.past.back(1), m.bars.Volume[bar]
	up, down := volume*x, volume*x
	if d <= tolerance {
		up = 0
	}
	if d >= -tolerance {
		down = 0
	}
	m.up.add(up, n)
	m.down.add(down, n)
	u, w := m.up.value(), m.down.value()
	if w == 0 {
		return 100
	}
	return 100 - 100/(1+u/w)
}

// tsi is the true strength index in −1…1: (x, short, long).
type tsi struct {
	past                             history
	long, short, longSize, shortSize ema
}

func (k *tsi) Reset() {
	k.past.Reset()
	k.long.Reset()
	k.short.Reset()
	k.longSize.Reset()
	k.shortSize.Reset()
}

func (k *tsi) Next(bar int, args, out []float64) error {
	short, err := length(args[1])
	if err != nil {
		return err
	}
	long, err := length(args[2])
	if err != nil {
		return err
	}
	k.past.push(args[0])
	d := args[0] - k.past.back(1)
	a := k.short.next(bar, k.long.next(bar, d, long), short)
	b := k.shortSize.next(bar, k.longSize.next(bar, math.Abs(d), long), short)
	out[0] = a / b
	return nil
}

// cog is the centre of gravity.
type cog struct {
	past  history
	total sum
}

func (c *cog) Reset() { c.past.Reset(); c.total.Reset() }

func (c *cog) next(_ int, x float64, n int) float64 {
	c.past.push(x)
	c.total.add(x, n)
	v := c.past.tail(n)
	if v == nil {
		return math.NaN()
	}
	weighted := 0.0
	for i := range v {
		weighted += float64(v[len(v)-1-i] * float64(i+1))
	}
	return -weighted / c.total.value()
}

// rci is the correlation of the ranks of values and time, in percent. Values within the tolerance of the
// smallest of a group share its mean rank.
type rci struct {
	past  history
	order []int
	ranks []float64
}

func (r *rci) Reset() { r.past.Reset() }

func (r *rci) next(_ int, x float64, n int) float64 {
	r.past.push(x)
	v := r.past.tail(n + 1)
	if v == nil || hasNA(v[1:]) {
		return math.NaN()
	}
	r.rank(v[1:])
	return rankCorrelation(r.ranks)
}

// rank fills ranks, newest value first, with descending ranks from zero.
func (r *rci) rank(v []float64) {
	n := len(v)
	r.order, r.ranks = r.order[:0], r.ranks[:0]
	for i := range n {
		r.order, r.ranks = append(r.order, i), append(r.ranks, 0)
	}
	newest := func(k int) float64 { return v[n-1-k] }
	slices.SortStableFunc(r.order, func(a, b int) int { return cmp.Compare(newest(a), newest(b)) })
	for i := 0; i < n; {
		j := i
		for j < n && newest(r.order[j])-newest(r.order[i]) < tolerance {
			j++
		}
		for _, k := range r.order[i:j] {
			r.ranks[k] = float64(n-1) - float64(float64(i+j-1)/2)
		}
		i = j
	}
}

// rankCorrelation is Pearson's coefficient of the ranks and their places, times 100.
func rankCorrelation(ranks []float64) float64 {
	var sx, sy, sxx, syy, covariance float64
	n := float64(len(ranks))
	for i, y := range ranks {
		x := float64(i)
		sx += x
		sy += y
		sxx += float64(x * x)
		syy += float64(y * y)
	}
	mx, my := sx/n, sy/n
	vx, vy := sxx/n-float64(mx*mx), syy/n-float64(my*my)
	if vx <= 0 || vy <= 0 {
		return math.NaN()
	}
	for i, y := range ranks {
		covariance += float64((float64(i) - mx) * (y - my))
	}
	return 100 * (covariance / n) / float64(math.Sqrt(vx)*math.Sqrt(vy))
}

// trend is rising and falling: the last n steps all go the same way by more than the tolerance.
type trend struct {
	last  float64
	any   bool
	steps int
	sign  float64
}

func (t *trend) Reset() { t.any, t.steps = false, 0 }

func (t *trend) next(_ int, x float64, n int) float64 {
	if t.any && t.sign*(x-t.last) > tolerance {
		t.steps++
	} else {
		t.steps = 0
	}
	t.last, t.any = x, true
	return boolean(t.steps >= n)
}
