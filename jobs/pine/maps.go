package pine

import (
	"math"
	"slices"
)

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
