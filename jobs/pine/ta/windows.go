package ta

import (
	"math"
	"slices"
)

// extreme is highest and lowest over a window of bars, and how many bars ago it was.
type extreme struct {
	past  history // values of sign·x, one for each bar since the first call
	first int     // bar of the first call
	last  int     // bar of the last call
	any   bool
	sign  float64
	age   bool // result is the offset, 0 or negative, of the oldest extreme

	n, at int // cached: the window's length and the bar of its extreme
}

func (e *extreme) Reset() { e.past.Reset(); e.any = false; e.n = 0 }

func (e *extreme) next(bar int, x float64, n int) float64 {
	if !e.any {
		e.any, e.first = true, bar
	} else {
		for range min(bar-e.last-1, 2*keepLeast) {
			e.past.push(math.NaN())
		}
	}
	e.last = bar
	e.past.push(e.sign * x)
	e.past.want(n)
	if bar-e.first+1 < n || len(e.past.v) < n {
		e.n = 0
		return math.NaN()
	}
	value := e.find(bar, n)
	if isNA(value) {
		return value
	}
	if e.age {
		return float64(e.at - bar)
	}
	return e.sign * value
}

// find is the largest value of the window. It looks at all of it only when the extreme has left it.
func (e *extreme) find(bar, n int) float64 {
	v := e.past.v
	newest := v[len(v)-1]
	if e.n == n && e.at > bar-n {
		best := v[len(v)-1-(bar-e.at)]
		if !(newest > best) {
			return best
		}
		e.at = bar
		return newest
	}
	e.n = n
	best := math.NaN()
	for i, x := range v[len(v)-n:] {
		if x > best || isNA(best) && !isNA(x) {
			best, e.at = x, bar-n+1+i
		}
	}
	if isNA(best) {
		e.n = 0
	}
	return best
}

// stoch is the place of x between the lowest low and the highest high: (x, high, low, n).
type stoch struct{ high, low extreme }

func newStoch() *stoch { return &stoch{high: extreme{sign: 1}, low: extreme{sign: -1}} }

func (s *stoch) Reset() { s.high.Reset(); s.low.Reset() }

func (s *stoch) Next(bar int, args, out []float64) error {
	n, err := length(args[3])
	if err != nil {
		return err
	}
	h, l := s.high.next(bar, args[1], n), s.low.next(bar, args[2], n)
	out[0] = 100 * (args[0] - l) / (h - l)
	if h == l {
		out[0] = math.NaN()
	}
	return nil
}

// pivot is pivothigh and pivotlow: the value r bars ago when it is above all after it and not below any before.
type pivot struct {
	past history
	sign float64
}

func (p *pivot) Reset() { p.past.Reset() }

func (p *pivot) Next(_ int, args, out []float64) error {
	out[0] = math.NaN()
	p.past.push(p.sign * args[0])
	if isNA(args[1]) || isNA(args[2]) || args[1] < 0 || args[2] < 0 || args[1]+args[2] > maxLength {
		return ErrLength
	}
	l, r := int(args[1]), int(args[2])
	v := p.past.tail(l + r + 1)
	if v == nil || hasNA(v) {
		return nil
	}
	x := v[l]
	for _, y := range v[:l] {
		if y > x {
			return nil
		}
	}
	for _, y := range v[l+1:] {
		if y >= x {
			return nil
		}
	}
	out[0] = p.sign * x
	return nil
}

// sorted is a function of the sorted window.
type sorted struct {
	past history
	work []float64
	of   func(v []float64) float64
}

func (s *sorted) Reset() { s.past.Reset() }

// window is the last n values in ascending order, nil when one is na or there are fewer.
func (s *sorted) window(x float64, n int) []float64 {
	s.past.push(x)
	v := s.past.tail(n)
	if v == nil || hasNA(v) {
		return nil
	}
	s.work = append(s.work[:0], v...)
	slices.Sort(s.work)
	return s.work
}

func (s *sorted) next(_ int, x float64, n int) float64 {
	v := s.window(x, n)
	if v == nil {
		return math.NaN()
	}
	return s.of(v)
}

func median(v []float64) float64 {
	h := len(v) / 2
	if len(v)%2 == 1 {
		return v[h]
	}
	return (v[h-1] + v[h]) / 2
}

// mode is the value that occurs most often, the smallest of several.
func mode(v []float64) float64 {
	best, most, count := v[0], 1, 1
	for i := 1; i < len(v); i++ {
		if v[i] != v[i-1] {
			count = 0
		}
		if count++; count > most {
			best, most = v[i], count
		}
	}
	return best
}

func span(v []float64) float64 { return v[len(v)-1] - v[0] }

// percentile is percentile_linear_interpolation and percentile_nearest_rank: (x, n, percent).
type percentile struct {
	sorted
	linear bool
}

func (p *percentile) Next(_ int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	v := p.window(args[0], n)
	share := args[2] / 100
	if isNA(share) && !p.linear {
		share = 0
	}
	if v == nil || !(share >= 0 && share <= 1) {
		out[0] = math.NaN()
		return nil
	}
	if !p.linear {
		out[0] = v[max(0, int(math.Ceil(float64(share*float64(n))-tolerance))-1)]
		return nil
	}
	at := float64(share*float64(n)) - 0.5
	low := math.Floor(at)
	switch i := int(low); {
	case i < 0:
		out[0] = v[0]
	case i >= n-1:
		out[0] = v[n-1]
	default:
		out[0] = v[i] + float64((at-low)*(v[i+1]-v[i]))
	}
	return nil
}

// percentrank is the share of the n values before x that are not above it.
type percentrank struct{ past history }

func (p *percentrank) Reset() { p.past.Reset() }

func (p *percentrank) next(_ int, x float64, n int) float64 {
	p.past.push(x)
	v := p.past.tail(n + 1)
	if v == nil || hasNA(v) {
		return math.NaN()
	}
	count := 0
	for _, y := range v[:n] {
		if y <= x+tolerance {
			count++
		}
	}
	return 100 * float64(count) / float64(n)
}

// linreg is the value of the least-squares line at n−1−offset: (x, n, offset). It compacts, and holds
// its value on an na bar.
type linreg struct {
	past history
	last float64
	any  bool
}

func (l *linreg) Reset() { l.past.Reset(); l.any = false }

func (l *linreg) Next(_ int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	if !isNA(args[0]) {
		l.past.push(args[0])
		l.any = false
	}
	v := l.past.tail(n)
	if v == nil {
		out[0] = math.NaN()
		return nil
	}
	if !l.any {
		l.last, l.any = line(v, math.Trunc(args[2])), true
	}
	out[0] = l.last
	return nil
}

// line is the least-squares line through v, its places counted from 1, at len(v) − offset.
func line(v []float64, offset float64) float64 {
	if len(v) == 1 {
		return v[0]
	}
	n := float64(len(v))
	var sx, sxx, sy, sxy float64
	for i, y := range v {
		x := float64(i + 1)
		sx += x
		sxx += float64(x * x)
		sy += y
		sxy += float64(y * x)
	}
	slope := (float64(n*sxy) - float64(sx*sy)) / (float64(n*sxx) - float64(sx*sx))
	// The line is anchored one place short of its end: another order of operations differs in last bits.
	intercept := sy/n - float64(slope*sx)/n + slope
	return intercept + float64(slope*(n-1-offset))
}

// correlation is Pearson's coefficient over the last n pairs: (a, b, n). A covariance within the tolerance of zero
// makes it 0; a constant series makes it na.
type correlation struct{ a, b, ab, aa, bb sum }

func (c *correlation) Reset() {
	for _, s := range []*sum{&c.a, &c.b, &c.ab, &c.aa, &c.bb} {
		s.Reset()
	}
}

func (c *correlation) Next(_ int, args, out []float64) error {
	n, err := length(args[2])
	if err != nil {
		return err
	}
	a, b, m := args[0], args[1], float64(n)
	c.a.add(a, n)
	c.b.add(b, n)
	c.ab.add(a*b, n)
	c.aa.add(a*a, n)
	c.bb.add(b*b, n)
	ma, mb := c.a.value()/m, c.b.value()/m
	covariance := c.ab.value()/m - float64(ma*mb)
	va := math.Max(0, c.aa.value()/m-float64(ma*ma))
	vb := math.Max(0, c.bb.value()/m-float64(mb*mb))
	switch spread := float64(va * vb); {
	case isNA(covariance) || isNA(spread):
		out[0] = math.NaN()
	case math.Abs(covariance) <= tolerance:
		out[0] = 0
	case spread == 0:
		out[0] = math.NaN()
	default:
		out[0] = covariance / math.Sqrt(spread)
	}
	return nil
}
