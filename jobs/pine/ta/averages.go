package ta

import (
	"math"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// recursive is the state of ema and rma: a mean of the first n values, then a recursion.
type recursive struct {
	value float64
	count int
	seed  sum
	ready bool
}

func (r *recursive) Reset() {
	r.seed.Reset()
	r.value, r.count, r.ready = 0, 0, false
}

// seeding adds x to the seed and returns its mean once it is complete.
func (r *recursive) seeding(x float64, n int) float64 {
	r.seed.add(x, n)
	r.count++
	if r.count < n {
		return math.NaN()
	}
	r.ready = true
	r.value = r.seed.value() / float64(n)
	return r.value
}

// ema is the exponential mean with α = 2/(n+1).
type ema struct{ recursive }

func (e *ema) next(_ int, x float64, n int) float64 {
	if isNA(x) {
		return x
	}
	if !e.ready {
		return e.seeding(x, n)
	}
	alpha := 2 / float64(n+1)
	e.value += float64(alpha * (x - e.value))
	return e.value
}

// rma is the exponential mean with α = 1/n in Wilder's form.
type rma struct{ recursive }

func (r *rma) next(_ int, x float64, n int) float64 {
	if isNA(x) {
		return x
	}
	if !r.ready {
		return r.seeding(x, n)
	}
	m := float64(n)
	r.value = (float64(r.value*(m-1)) + x) / m
	return r.value
}

// wma is the linearly weighted mean, summed again on every bar. Inside its window na stands for the value
// before it; on an na bar and before n values it is na.
type wma struct {
	past  history
	last  float64
	count int
}

func (w *wma) Reset() { w.past.Reset(); w.count = 0 }

func (w *wma) next(_ int, x float64, n int) float64 {
	if !isNA(x) {
		w.last = x
		w.count++
	}
	if w.count > 0 {
		w.past.push(w.last)
	}
	w.past.want(n)
	if isNA(x) || w.count < n {
		return math.NaN()
	}
	total := 0.0
	for i, x := range w.past.tail(n) {
		total += float64(x * float64(i+1))
	}
	return total / (float64(n) * float64(n+1) / 2)
}

// hma is Hull's mean.
type hma struct{ half, whole, smooth wma }

func (h *hma) Reset() { h.half.Reset(); h.whole.Reset(); h.smooth.Reset() }

func (h *hma) next(bar int, x float64, n int) float64 {
	a, b := h.half.next(bar, x, max(1, n/2)), h.whole.next(bar, x, n)
	return h.smooth.next(bar, float64(2*a)-b, int(math.Sqrt(float64(n))))
}

// vwma is the mean weighted by volume.
type vwma struct {
	bars          *backtest.Bars
	value, volume sma
}

func (v *vwma) Reset() { v.value.Reset(); v.volume.Reset() }

func (v *vwma) next(bar int, x float64, n int) float64 {
	volume := v.bars.Volume[bar]
	return v.value.next(bar, x*volume, n) / v.volume.next(bar, volume, n)
}

// swma is the symmetrically weighted mean of four values.
func newSWMA() Kernel {
	h := &history{}
	return &steps{
		step: func(_ int, args, out []float64) {
			h.push(args[0])
			out[0] = (h.back(0) + float64(2*h.back(1)) + float64(2*h.back(2)) + h.back(3)) / 6
		},
		reset: h.Reset,
	}
}

// alma is Arnaud Legoux's mean: (x, n, offset, sigma, floor).
type alma struct{ past history }

func (a *alma) Reset() { a.past.Reset() }

func (a *alma) Next(_ int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	a.past.push(args[0])
	v := a.past.tail(n)
	if v == nil {
		out[0] = math.NaN()
		return nil
	}
	m, s := args[2]*float64(n-1), float64(n)/args[3]
	if args[4] != 0 {
		m = math.Floor(m)
	}
	total, norm := 0.0, 0.0
	for i, x := range v {
		d := float64(i) - m
		w := portable.Exp(-float64(d*d) / (2 * float64(s*s)))
		norm += w
		total += float64(x * w)
	}
	out[0] = total / norm
	return nil
}

// macd is the difference of two ema, the ema of it, and their difference: (x, fast, slow, signal).
type macd struct{ fast, slow, signal ema }

func (m *macd) Reset() { m.fast.Reset(); m.slow.Reset(); m.signal.Reset() }

func (m *macd) Next(bar int, args, out []float64) error {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = length(args[i+1]); err != nil {
			return err
		}
	}
	line := m.fast.next(bar, args[0], n[0]) - m.slow.next(bar, args[0], n[1])
	signal := m.signal.next(bar, line, n[2])
	out[0], out[1], out[2] = line, signal, line-signal
	return nil
}
