package pine

import (
	"errors"
	"fmt"
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
			return 0, limitError(fmt.Sprintf("an array of %v elements is beyond 0 to %d", a[0], maxElements))
		}
		o, ref, err := m.heap.alloc(whole(a[0]))
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
		at := whole(a[1])
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
			from = whole(a[2])
		}
		if a[3] == a[3] {
			to = whole(a[3])
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
		from, to := whole(a[1]), whole(a[2])
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
		return m.run.intern(m.run.joined(o.vals, elementKind(c.class), "", m.run.text(a[1])))
	}
	all["array.tostring"] = func(m *machine, c *callInfo, a []float64) (float64, error) {
		o := m.heap.get(a[0])
		if o == nil {
			return m.run.intern("NaN")
		}
		return m.run.intern("[" + m.run.joined(o.vals, elementKind(c.class), m.run.text(a[1]), ", ") + "]")
	}
	all["matrix.tostring"] = func(m *machine, c *callInfo, a []float64) (float64, error) {
		o := m.heap.get(a[0])
		if o == nil {
			return m.run.intern("NaN")
		}
		var rows []string
		for at, size := 0, 0; o.cols > 0 && at < len(o.vals) && size < maxText; at += o.cols {
			row := m.run.joined(o.vals[at:at+o.cols], elementKind(c.class), m.run.text(a[1]), ", ")
			rows, size = append(rows, "["+row+"]"), size+len(row)
		}
		return m.run.intern(strings.Join(rows, "\n"))
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

// elementKind is the type of a collection's elements.
func elementKind(class string) string {
	_, kind, _ := strings.Cut(class, "<")
	return strings.TrimSuffix(kind, ">")
}

// joined are values as text, up to the length that a text may have.
func (r *Run) joined(vals []float64, kind, layout, separator string) string {
	var parts []string
	size := 0
	for _, v := range vals {
		s := r.format(v, kind, layout)
		if size += len(s); size > maxText {
			break
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, separator)
}
