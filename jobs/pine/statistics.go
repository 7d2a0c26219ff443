package pine

import (
	"math"
	"slices"
	"strings"
)

func near(a, b float64) bool { return a == b || math.Abs(a-b) <= tolerance }

func sorts(all map[string]function) {
	all["array.sort"] = func(m *machine, c *callInfo, a []float64) (float64, error) {
		o := m.heap.get(a[0])
		if o == nil {
			return 0, errNaObject
		}
		texts := c.class == "array<string>"
		slices.SortStableFunc(o.vals, func(x, y float64) int {
			if texts {
				return strings.Compare(m.run.text(x), m.run.text(y))
			}
			return ascending(x, y)
		})
		if m.run.text(a[1]) == "descending" {
			slices.Reverse(o.vals)
		}
		return 0, nil
	}
	all["array.sort_indices"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		index := make([]float64, len(o.vals))
		for i := range index {
			index[i] = float64(i)
		}
		down := m.run.text(a[1]) == "descending"
		slices.SortStableFunc(index, func(x, y float64) int {
			if down {
				return ascending(o.vals[int(y)], o.vals[int(x)])
			}
			return ascending(o.vals[int(x)], o.vals[int(y)])
		})
		return m.made(index)
	})
	bound := func(kind int) function {
		return on(func(_ *machine, o *object, a []float64) (float64, error) {
			i, found := slices.BinarySearch(o.vals, a[1])
			switch {
			case found && kind > 0:
				for i+1 < len(o.vals) && o.vals[i+1] == a[1] {
					i++
				}
			case !found && kind == 0:
				return -1, nil
			case !found && kind < 0:
				i--
			}
			return float64(i), nil
		})
	}
	all["array.binary_search"], all["array.binary_search_leftmost"], all["array.binary_search_rightmost"] = bound(0), bound(-1), bound(1)
}

// ascending orders numbers, na last.
func ascending(x, y float64) int {
	switch {
	case x < y || y != y && x == x:
		return -1
	case x > y || x != x && y == y:
		return 1
	}
	return 0
}

// defined are an object's values that are not na.
func defined(o *object) []float64 {
	out := make([]float64, 0, len(o.vals))
	for _, v := range o.vals {
		if v == v {
			out = append(out, v)
		}
	}
	return out
}

func sumOf(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s
}

func arrayStatistics(all map[string]function) {
	figure := func(name string, f func(v []float64, a []float64) float64) {
		all[name] = on(func(_ *machine, o *object, a []float64) (float64, error) {
			v := defined(o)
			if len(v) == 0 {
				return math.NaN(), nil
			}
			return f(v, a), nil
		})
	}
	nth := func(a []float64, n int) int {
		if len(a) < 2 || a[1] != a[1] {
			return 0
		}
		return min(max(whole(a[1]), 0), n-1)
	}
	figure("array.sum", func(v, _ []float64) float64 { return sumOf(v) })
	figure("array.avg", func(v, _ []float64) float64 { return sumOf(v) / float64(len(v)) })
	figure("array.min", func(v, a []float64) float64 { slices.Sort(v); return v[nth(a, len(v))] })
	figure("array.max", func(v, a []float64) float64 { slices.Sort(v); return v[len(v)-1-nth(a, len(v))] })
	figure("array.range", func(v, _ []float64) float64 { return slices.Max(v) - slices.Min(v) })
	figure("array.median", func(v, _ []float64) float64 { return medianOf(v) })
	figure("array.mode", func(v, _ []float64) float64 { return modeOf(v) })
	figure("array.variance", func(v, a []float64) float64 { return varianceOf(v, a[1]) })
	figure("array.stdev", func(v, a []float64) float64 { return math.Sqrt(varianceOf(v, a[1])) })
	figure("array.percentile_linear_interpolation", func(v, a []float64) float64 {
		slices.Sort(v)
		at := float64(a[1] / 100 * float64(len(v)-1))
		i := min(max(whole(at), 0), len(v)-1)
		if i+1 >= len(v) {
			return v[len(v)-1]
		}
		return v[i] + float64((at-float64(i))*(v[i+1]-v[i]))
	})
	figure("array.percentile_nearest_rank", func(v, a []float64) float64 {
		slices.Sort(v)
		i := whole(math.Ceil(a[1]/100*float64(len(v)))) - 1
		return v[min(max(i, 0), len(v)-1)]
	})
	all["array.percentrank"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := element(o, a[1])
		if err != nil {
			return 0, err
		}
		if len(o.vals) < 2 || o.vals[i] != o.vals[i] {
			return math.NaN(), nil
		}
		n := 0
		for j, v := range o.vals {
			if j != i && v <= o.vals[i]+tolerance {
				n++
			}
		}
		return 100 * float64(n) / float64(len(o.vals)-1), nil
	})
	all["array.covariance"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		b := m.heap.get(a[1])
		if b == nil {
			return 0, errNaObject
		}
		n := min(len(o.vals), len(b.vals))
		if n == 0 {
			return math.NaN(), nil
		}
		x, y := sumOf(o.vals[:n])/float64(n), sumOf(b.vals[:n])/float64(n)
		s := 0.0
		for i := range n {
			s += float64((o.vals[i] - x) * (b.vals[i] - y))
		}
		if a[2] == 0 {
			return s / float64(n-1), nil
		}
		return s / float64(n), nil
	})
	each := func(name string, f func(v []float64) func(float64) float64) {
		all[name] = on(func(m *machine, o *object, _ []float64) (float64, error) {
			ref, err := m.made(o.vals)
			if err != nil {
				return ref, err
			}
			v := m.heap.get(ref).vals
			g := f(defined(o))
			for i := range v {
				v[i] = g(v[i])
			}
			return ref, nil
		})
	}
	each("array.abs", func([]float64) func(float64) float64 { return math.Abs })
	each("array.standardize", func(v []float64) func(float64) float64 {
		mean := sumOf(v) / float64(len(v))
		dev := math.Sqrt(varianceOf(v, 1))
		return func(x float64) float64 { return (x - mean) / dev }
	})
}

func medianOf(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	h := len(v) / 2
	if len(v)%2 == 1 {
		return v[h]
	}
	return (v[h-1] + v[h]) / 2
}

// modeOf is the most frequent value, the smallest of ties.
func modeOf(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	best, most, n := v[0], 0, 0
	for i := range v {
		if i > 0 && v[i] == v[i-1] {
			n++
		} else {
			n = 1
		}
		if n > most {
			best, most = v[i], n
		}
	}
	return best
}

// varianceOf is the population's, or with biased 0 the sample's.
func varianceOf(v []float64, biased float64) float64 {
	mean := sumOf(v) / float64(len(v))
	s := 0.0
	for _, x := range v {
		s += float64((x - mean) * (x - mean))
	}
	if biased == 0 {
		return s / float64(len(v)-1)
	}
	return s / float64(len(v))
}
