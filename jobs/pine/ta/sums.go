package ta

import "math"

// sum is the compensated sliding sum of the last n values that are not na. The order of its operations
// decides last bits, and those decide crossings: it is kept as measured.
type sum struct {
	total, comp float64
	raw         history
	entries     []float64 // ring of what each value added, once compensated
	head, n     int       // oldest entry; the length that entries are for
	full        bool
}

func (s *sum) Reset() {
	s.raw.Reset()
	s.entries = s.entries[:0]
	s.total, s.comp, s.head, s.n, s.full = 0, 0, 0, 0, false
}

// add takes the next value. value is the sum once n values are in.
func (s *sum) add(x float64, n int) {
	if n != s.n {
		s.resize(n)
	}
	if isNA(x) {
		return
	}
	s.raw.push(x)
	if s.comp != 0 && x != 0 && s.loses(x) {
		s.replace(x)
		s.total, s.comp = s.plain(), 0
		return
	}
	if s.full {
		oldest := s.entries[s.head]
		y1 := -oldest - s.comp
		t := s.total + y1
		e1 := (t - s.total) - y1
		y := x - e1
		total := t + y
		s.comp = (total - t) - y
		s.total = total
		s.replace(y)
		return
	}
	y := x - s.comp
	total := s.total + y
	s.comp = (total - s.total) - y
	s.total = total
	s.replace(y)
}

// loses says whether adding the compensation to x loses part of it.
func (s *sum) loses(x float64) bool {
	a := math.Abs(s.comp)
	r := x + a
	return r != 0 && a-(r-x) > 0
}

// replace stores an entry in place of the oldest, or behind the others while the window fills.
func (s *sum) replace(y float64) {
	if s.full {
		s.entries[s.head] = y
		if s.head++; s.head == s.n {
			s.head = 0
		}
		return
	}
	s.entries = append(s.entries, y)
	s.full = len(s.entries) == s.n
}

// plain is the sum of the window, newest first.
func (s *sum) plain() float64 {
	v := s.raw.v[max(0, len(s.raw.v)-s.n):]
	total := v[len(v)-1]
	for i := len(v) - 2; i >= 0; i-- {
		total += v[i]
	}
	return total
}

// resize starts over for another length with the values that are kept.
func (s *sum) resize(n int) {
	s.raw.want(n)
	v := s.raw.v[max(0, len(s.raw.v)-n):]
	s.entries = append(s.entries[:0], v...)
	s.n, s.head, s.total, s.comp = n, 0, 0, 0
	s.full = len(v) == n
	for i := len(v) - 1; i >= 0; i-- {
		s.total += v[i]
	}
}

func (s *sum) value() float64 {
	if !s.full {
		return math.NaN()
	}
	return s.total
}

func (s *sum) next(_ int, x float64, n int) float64 {
	s.add(x, n)
	return s.value()
}

// sma is the mean of the last n values.
type sma struct{ sum }

func (s *sma) next(_ int, x float64, n int) float64 {
	s.add(x, n)
	return s.value() / float64(n)
}

// variance is that of the last n values, from the sums of values and squares.
type variance struct{ x, squares sum }

func (v *variance) Reset() { v.x.Reset(); v.squares.Reset() }

func (v *variance) at(x float64, n int, biased bool) float64 {
	v.x.add(x, n)
	v.squares.add(x*x, n)
	p, q, m := v.x.value(), v.squares.value(), float64(n)
	mean := p / m
	if biased {
		return math.Max(0, q/m-float64(mean*mean))
	}
	if n == 1 {
		return math.NaN()
	}
	return math.Max(0, (q-float64(p*mean))/(m-1))
}

// deviation is stdev and variance as kernels of (x, n, biased).
type deviation struct {
	variance
	root bool
}

func (d *deviation) Next(_ int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	out[0] = d.at(args[0], n, args[2] != 0)
	if d.root {
		out[0] = math.Sqrt(out[0])
	}
	return nil
}

// bands is bb: the mean and k deviations above and below; with width, bbw.
type bands struct {
	mean  sma
	var_  variance
	width bool
}

func (b *bands) Reset() { b.mean.Reset(); b.var_.Reset() }

func (b *bands) Next(bar int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	mid := b.mean.next(bar, args[0], n)
	dev := float64(args[2] * math.Sqrt(b.var_.at(args[0], n, true)))
	if b.width {
		out[0] = (mid + dev - (mid - dev)) / mid * 100
		return nil
	}
	out[0], out[1], out[2] = mid, mid+dev, mid-dev
	return nil
}
