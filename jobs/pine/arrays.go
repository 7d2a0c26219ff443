package pine

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// objectFunctions are the functions of collections by name.
var objectFunctions = sync.OnceValue(func() map[string]function {
	all := map[string]function{}
	arrayFunctions(all)
	arrayStatistics(all)
	mapFunctions(all)
	matrixFunctions(all)
	matrixAlgebra(all)
	return all
})

func findObject(name string) function { return objectFunctions()[name] }

// element finds an element's place; negative indexes count from the end.
func element(o *object, index float64) (int, error) {
	if index != index {
		return 0, errors.New("the index is na")
	}
	i := int(index)
	if i < 0 {
		i += len(o.vals)
	}
	if i < 0 || i >= len(o.vals) {
		return 0, fmt.Errorf("the index %v is out of bounds: the size is %d", index, len(o.vals))
	}
	return i, nil
}

// on makes a function of one that works on an object.
func on(f func(m *machine, o *object, a []float64) (float64, error)) function {
	return func(m *machine, _ *callInfo, a []float64) (float64, error) {
		o := m.heap.get(a[0])
		if o == nil {
			return 0, errNaObject
		}
		return f(m, o, a)
	}
}

// made returns a new array of values.
func (m *machine) made(values []float64) (float64, error) {
	o, ref, err := m.heap.alloc(len(values))
	if err != nil {
		return ref, err
	}
	copy(o.vals, values)
	return ref, nil
}

func (m *machine) insert(o *object, at int, v float64) error {
	if len(o.vals) >= maxElements {
		return errElements
	}
	if err := m.heap.grew(1); err != nil {
		return err
	}
	o.vals = append(o.vals, 0)
	copy(o.vals[at+1:], o.vals[at:])
	o.vals[at] = v
	return nil
}

func (m *machine) remove(o *object, at int) float64 {
	v := o.vals[at]
	o.vals = append(o.vals[:at], o.vals[at+1:]...)
	m.heap.elements--
	return v
}

var errEmpty = errors.New("the array is empty")

func arrayFunctions(all map[string]function) {
	all["array.new"] = func(m *machine, _ *callInfo, a []float64) (float64, error) {
		if a[0] != a[0] {
			a[0] = 0
		}
		if a[0] < 0 || a[0] > maxElements {
			return 0, fmt.Errorf("an array of %v elements is beyond 0 to %d", a[0], maxElements)
		}
		o, ref, err := m.heap.alloc(int(a[0]))
		if err != nil {
			return ref, err
		}
		for i := range o.vals {
			o.vals[i] = a[1]
		}
		return ref, nil
	}
	all["array.from"] = func(m *machine, _ *callInfo, a []float64) (float64, error) { return m.made(a) }
	all["object.copy"] = on(func(m *machine, o *object, _ []float64) (float64, error) { return m.made(o.vals) })
	all["array.copy"] = all["object.copy"]
	all["array.size"] = on(func(_ *machine, o *object, _ []float64) (float64, error) { return float64(len(o.vals)), nil })
	all["array.push"] = on(func(m *machine, o *object, a []float64) (float64, error) { return 0, m.insert(o, len(o.vals), a[1]) })
	all["array.unshift"] = on(func(m *machine, o *object, a []float64) (float64, error) { return 0, m.insert(o, 0, a[1]) })
	all["array.insert"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		at := int(a[1])
		if at < 0 {
			at += len(o.vals)
		}
		if a[1] != a[1] || at < 0 || at > len(o.vals) {
			return 0, fmt.Errorf("the index %v is out of bounds: the size is %d", a[1], len(o.vals))
		}
		return 0, m.insert(o, at, a[2])
	})
	end := func(last, take bool) function {
		return on(func(m *machine, o *object, _ []float64) (float64, error) {
			if len(o.vals) == 0 {
				return 0, errEmpty
			}
			at := 0
			if last {
				at = len(o.vals) - 1
			}
			if take {
				return m.remove(o, at), nil
			}
			return o.vals[at], nil
		})
	}
	all["array.pop"], all["array.shift"], all["array.first"], all["array.last"] = end(true, true), end(false, true), end(false, false), end(true, false)
	all["array.get"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := element(o, a[1])
		if err != nil {
			return 0, err
		}
		return o.vals[i], nil
	})
	all["array.set"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := element(o, a[1])
		if err == nil {
			o.vals[i] = a[2]
		}
		return 0, err
	})
	all["array.remove"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		i, err := element(o, a[1])
		if err != nil {
			return 0, err
		}
		return m.remove(o, i), nil
	})
	all["array.clear"] = on(func(m *machine, o *object, _ []float64) (float64, error) {
		m.heap.elements -= len(o.vals)
		o.vals = o.vals[:0]
		return 0, nil
	})
	all["array.fill"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		from, to := 0, len(o.vals)
		if a[2] == a[2] {
			from = int(a[2])
		}
		if a[3] == a[3] {
			to = int(a[3])
		}
		for i := max(from, 0); i < min(to, len(o.vals)); i++ {
			o.vals[i] = a[1]
		}
		return 0, nil
	})
	all["array.reverse"] = on(func(_ *machine, o *object, _ []float64) (float64, error) { slices.Reverse(o.vals); return 0, nil })
	all["array.concat"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		other := m.heap.get(a[1])
		if other == nil {
			return 0, errNaObject
		}
		if len(o.vals)+len(other.vals) > maxElements {
			return 0, errElements
		}
		o.vals = append(o.vals, other.vals...)
		return a[0], m.heap.grew(len(other.vals))
	})
	all["array.slice"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		from, to := int(a[1]), int(a[2])
		if from < 0 || to > len(o.vals) || from > to {
			return 0, fmt.Errorf("the slice from %d to %d is out of bounds: the size is %d", from, to, len(o.vals))
		}
		return m.made(o.vals[from:to])
	})
	search := func(last bool) function {
		return on(func(_ *machine, o *object, a []float64) (float64, error) {
			found := -1
			for i, v := range o.vals {
				if near(v, a[1]) && (last || found < 0) {
					found = i
				}
			}
			return float64(found), nil
		})
	}
	all["array.indexof"], all["array.lastindexof"] = search(false), search(true)
	all["array.includes"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		return bit(slices.ContainsFunc(o.vals, func(v float64) bool { return near(v, a[1]) })), nil
	})
	all["array.every"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		return bit(!slices.ContainsFunc(o.vals, func(v float64) bool { return !isTrue(v) })), nil
	})
	all["array.some"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		return bit(slices.ContainsFunc(o.vals, isTrue)), nil
	})
	all["array.join"] = func(m *machine, c *callInfo, a []float64) (float64, error) {
		o := m.heap.get(a[0])
		if o == nil {
			return 0, errNaObject
		}
		kind := strings.TrimSuffix(strings.TrimPrefix(c.class, "array<"), ">")
		var parts []string
		size := 0
		for _, v := range o.vals {
			s := m.run.format(v, kind, "")
			if size += len(s); size > maxText {
				break
			}
			parts = append(parts, s)
		}
		return m.run.intern(strings.Join(parts, m.run.text(a[1])))
	}
	all["str.split"] = func(m *machine, _ *callInfo, a []float64) (float64, error) {
		var refs []float64
		for _, s := range strings.Split(m.run.text(a[0]), m.run.text(a[1])) {
			n, err := m.run.intern(s)
			if err != nil {
				return 0, err
			}
			refs = append(refs, n)
		}
		return m.made(refs)
	}
	sorts(all)
}

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
		return min(max(int(a[1]), 0), n-1)
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
		at := a[1] / 100 * float64(len(v)-1)
		i := min(max(int(at), 0), len(v)-1)
		if i+1 >= len(v) {
			return v[len(v)-1]
		}
		return v[i] + (at-float64(i))*(v[i+1]-v[i])
	})
	figure("array.percentile_nearest_rank", func(v, a []float64) float64 {
		slices.Sort(v)
		i := int(math.Ceil(a[1]/100*float64(len(v)))) - 1
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
			s += (o.vals[i] - x) * (b.vals[i] - y)
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
		s += (x - mean) * (x - mean)
	}
	if biased == 0 {
		return s / float64(len(v)-1)
	}
	return s / float64(len(v))
}

// key finds a key in a map.
func key(o *object, k float64) int {
	return slices.IndexFunc(o.keys, func(x float64) bool { return x == k || x != x && k != k })
}

func mapFunctions(all map[string]function) {
	all["map.new"] = func(m *machine, _ *callInfo, _ []float64) (float64, error) { return m.made(nil) }
	all["map.size"] = all["array.size"]
	all["map.put"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		if i := key(o, a[1]); i >= 0 {
			old := o.vals[i]
			o.vals[i] = a[2]
			return old, nil
		}
		if len(o.vals) >= 50_000 {
			return 0, errElements
		}
		o.keys, o.vals = append(o.keys, a[1]), append(o.vals, a[2])
		return math.NaN(), m.heap.grew(2)
	})
	all["map.get"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		if i := key(o, a[1]); i >= 0 {
			return o.vals[i], nil
		}
		return math.NaN(), nil
	})
	all["map.contains"] = on(func(_ *machine, o *object, a []float64) (float64, error) { return bit(key(o, a[1]) >= 0), nil })
	all["map.remove"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		i := key(o, a[1])
		if i < 0 {
			return math.NaN(), nil
		}
		o.keys = append(o.keys[:i], o.keys[i+1:]...)
		return m.remove(o, i), nil
	})
	all["map.clear"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		o.keys, o.vals = o.keys[:0], o.vals[:0]
		return 0, nil
	})
	all["map.keys"] = on(func(m *machine, o *object, _ []float64) (float64, error) { return m.made(o.keys) })
	all["map.values"] = on(func(m *machine, o *object, _ []float64) (float64, error) { return m.made(o.vals) })
	all["map.copy"] = on(func(m *machine, o *object, _ []float64) (float64, error) {
		ref, err := m.made(o.vals)
		if err == nil {
			c := m.heap.get(ref)
			c.keys = append(c.keys[:0], o.keys...)
		}
		return ref, err
	})
	all["map.put_all"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		other := m.heap.get(a[1])
		if other == nil {
			return 0, errNaObject
		}
		for i, k := range other.keys {
			if _, err := all["map.put"](m, nil, []float64{a[0], k, other.vals[i]}); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	all["map.at"] = all["array.get"]
	all["map.key_at"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := element(o, a[1])
		if err != nil || i >= len(o.keys) {
			return 0, err
		}
		return o.keys[i], nil
	})
}
