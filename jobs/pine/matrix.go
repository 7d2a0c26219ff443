package pine

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

func (o *object) rows() int {
	if o.cols == 0 {
		return 0
	}
	return len(o.vals) / o.cols
}

// matrix makes a new matrix.
func (m *machine) matrix(rows, cols int) (*object, float64, error) {
	if rows < 0 || cols < 0 || rows > maxElements || cols > maxElements || rows*cols > maxElements {
		return nil, 0, limitError(fmt.Sprintf("a matrix of %d rows and %d columns has more than %d elements", rows, cols, maxElements))
	}
	o, ref, err := m.heap.alloc(rows * cols)
	if err == nil {
		o.cols = cols
		clear(o.vals)
	}
	return o, ref, err
}

// cell finds an element's place.
func cell(o *object, row, col float64) (int, error) {
	r, c := int(row), int(col)
	if row != row || col != col || r < 0 || c < 0 || r >= o.rows() || c >= o.cols {
		return 0, fmt.Errorf("row %v, column %v is out of bounds: the matrix has %d rows and %d columns", row, col, o.rows(), o.cols)
	}
	return r*o.cols + c, nil
}

func or(v float64, def int) int {
	if v != v {
		return def
	}
	return whole(v)
}

func matrixFunctions(all map[string]function) {
	all["matrix.new"] = func(m *machine, _ *callInfo, a []float64) (float64, error) {
		o, ref, err := m.matrix(or(a[0], 0), or(a[1], 0))
		if err == nil {
			for i := range o.vals {
				o.vals[i] = a[2]
			}
		}
		return ref, err
	}
	all["matrix.rows"] = on(func(_ *machine, o *object, _ []float64) (float64, error) { return float64(o.rows()), nil })
	all["matrix.columns"] = on(func(_ *machine, o *object, _ []float64) (float64, error) { return float64(o.cols), nil })
	all["matrix.elements_count"] = all["array.size"]
	all["matrix.get"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return o.vals[i], nil
	})
	all["matrix.set"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, a[1], a[2])
		if err == nil {
			o.vals[i] = a[3]
		}
		return 0, err
	})
	all["matrix.row"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, a[1], 0)
		if err != nil {
			return 0, err
		}
		return m.made(o.vals[i : i+o.cols])
	})
	all["matrix.col"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, 0, a[1])
		if err != nil {
			return 0, err
		}
		return m.made(column(o, i))
	})
	all["matrix.copy"] = on(func(m *machine, o *object, _ []float64) (float64, error) {
		c, ref, err := m.matrix(o.rows(), o.cols)
		if err == nil {
			copy(c.vals, o.vals)
		}
		return ref, err
	})
	all["matrix.transpose"] = on(func(m *machine, o *object, _ []float64) (float64, error) {
		rows := o.rows()
		t, ref, err := m.matrix(o.cols, rows)
		if err == nil {
			for r := range rows {
				for c := range o.cols {
					t.vals[c*rows+r] = o.vals[r*o.cols+c]
				}
			}
		}
		return ref, err
	})
	all["matrix.fill"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		for r := max(or(a[2], 0), 0); r < min(or(a[3], o.rows()), o.rows()); r++ {
			for c := max(or(a[4], 0), 0); c < min(or(a[5], o.cols), o.cols); c++ {
				o.vals[r*o.cols+c] = a[1]
			}
		}
		return 0, nil
	})
	all["matrix.submatrix"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		r0, r1, c0, c1 := or(a[1], 0), or(a[2], o.rows()), or(a[3], 0), or(a[4], o.cols)
		if r0 < 0 || c0 < 0 || r1 > o.rows() || c1 > o.cols || r0 > r1 || c0 > c1 {
			return 0, errors.New("the part of the matrix is out of bounds")
		}
		s, ref, err := m.matrix(r1-r0, c1-c0)
		if err == nil {
			for r := r0; r < r1; r++ {
				copy(s.vals[(r-r0)*s.cols:], o.vals[r*o.cols+c0:r*o.cols+c1])
			}
		}
		return ref, err
	})
	all["matrix.reshape"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		if !(a[1] >= 0) || a[1]*a[2] != float64(len(o.vals)) {
			return 0, errors.New("the new shape has another number of elements")
		}
		o.cols = whole(a[2])
		return 0, nil
	})
	all["matrix.reverse"] = all["array.reverse"]
	matrixEdges(all)
}

// matrixEdges add, remove and swap rows and columns.
func matrixEdges(all map[string]function) {
	values := func(m *machine, ref float64, n int) ([]float64, error) {
		src := m.heap.get(ref)
		if src == nil {
			v := make([]float64, n)
			for i := range v {
				v[i] = math.NaN()
			}
			return v, nil
		}
		if n > 0 && len(src.vals) != n {
			return nil, fmt.Errorf("the array has %d elements for %d places", len(src.vals), n)
		}
		return slices.Clone(src.vals), nil
	}
	all["matrix.add_row"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		v, err := values(m, a[2], o.cols)
		if err != nil {
			return 0, err
		}
		at := or(a[1], o.rows())
		if at < 0 || at > o.rows() || len(o.vals)+len(v) > maxElements {
			return 0, errors.New("the row is out of bounds")
		}
		if o.cols == 0 {
			o.cols = len(v)
		}
		o.vals = slices.Insert(o.vals, at*o.cols, v...)
		return 0, m.heap.grew(len(v))
	})
	all["matrix.add_col"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		rows := o.rows()
		v, err := values(m, a[2], rows)
		if err != nil {
			return 0, err
		}
		at := or(a[1], o.cols)
		if at < 0 || at > o.cols || len(o.vals)+len(v) > maxElements {
			return 0, errors.New("the column is out of bounds")
		}
		if o.cols == 0 {
			o.vals, o.cols = append(o.vals[:0], v...), 1
			return 0, m.heap.grew(len(v))
		}
		for r := rows - 1; r >= 0; r-- {
			o.vals = slices.Insert(o.vals, r*o.cols+at, v[r])
		}
		o.cols++
		return 0, m.heap.grew(len(v))
	})
	all["matrix.remove_row"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, float64(or(a[1], o.rows()-1)), 0)
		if err != nil {
			return 0, err
		}
		ref, err := m.made(o.vals[i : i+o.cols])
		o.vals = slices.Delete(o.vals, i, i+o.cols)
		return ref, err
	})
	all["matrix.remove_col"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, 0, float64(or(a[1], o.cols-1)))
		if err != nil {
			return 0, err
		}
		ref, err := m.made(column(o, i))
		for r := o.rows() - 1; r >= 0; r-- {
			o.vals = slices.Delete(o.vals, r*o.cols+i, r*o.cols+i+1)
		}
		o.cols--
		return ref, err
	})
	all["matrix.concat"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		b := m.heap.get(a[1])
		if b == nil || o.cols != 0 && b.cols != o.cols || len(o.vals)+len(b.vals) > maxElements {
			return 0, errors.New("the matrices have different numbers of columns")
		}
		o.vals, o.cols = append(o.vals, b.vals...), b.cols
		return a[0], m.heap.grew(len(b.vals))
	})
	all["matrix.swap_rows"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, a[1], 0)
		j, err2 := cell(o, a[2], 0)
		if err != nil || err2 != nil {
			return 0, errors.Join(err, err2)
		}
		for c := range o.cols {
			o.vals[i+c], o.vals[j+c] = o.vals[j+c], o.vals[i+c]
		}
		return 0, nil
	})
	all["matrix.swap_columns"] = on(func(_ *machine, o *object, a []float64) (float64, error) {
		i, err := cell(o, 0, a[1])
		j, err2 := cell(o, 0, a[2])
		if err != nil || err2 != nil {
			return 0, errors.Join(err, err2)
		}
		for r := range o.rows() {
			p, q := r*o.cols+i, r*o.cols+j
			o.vals[p], o.vals[q] = o.vals[q], o.vals[p]
		}
		return 0, nil
	})
}

func column(o *object, c int) []float64 {
	out := make([]float64, o.rows())
	for r := range out {
		out[r] = o.vals[r*o.cols+c]
	}
	return out
}
