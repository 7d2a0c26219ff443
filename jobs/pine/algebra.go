package pine

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

var errSquare = errors.New("the matrix is not square")

// maxEigen bounds the matrices whose eigenvalues are sought: the search takes many passes over one.
const maxEigen = 64

// smallSquare is square for a matrix of at most maxEigen rows.
func smallSquare(o *object) ([][]float64, error) {
	if o.cols > maxEigen {
		return nil, fmt.Errorf("a matrix of %d columns has more than the %d that eigenvalues are sought of", o.cols, maxEigen)
	}
	return square(o)
}

// square copies a square matrix to rows.
func square(o *object) ([][]float64, error) {
	n := o.rows()
	if n != o.cols || n == 0 {
		return nil, errSquare
	}
	if n > 200 {
		return nil, errors.New("the matrix has more than 200 rows")
	}
	out := make([][]float64, n)
	for r := range out {
		out[r] = slices.Clone(o.vals[r*n : (r+1)*n])
	}
	return out, nil
}

func (m *machine) fromRows(rows [][]float64) (float64, error) {
	cols := 0
	if len(rows) > 0 {
		cols = len(rows[0])
	}
	o, ref, err := m.matrix(len(rows), cols)
	if err == nil {
		for r := range rows {
			copy(o.vals[r*cols:], rows[r])
		}
	}
	return ref, err
}

func matrixAlgebra(all map[string]function) {
	for _, name := range []string{"avg", "min", "max", "median", "mode"} {
		all["matrix."+name] = all["array."+name]
	}
	pair := func(f func(x, y float64) float64) function {
		return on(func(m *machine, o *object, a []float64) (float64, error) {
			b := m.heap.get(a[1])
			if b == nil || len(b.vals) != len(o.vals) || b.cols != o.cols {
				return 0, errors.New("the matrices have different shapes")
			}
			s, ref, err := m.matrix(o.rows(), o.cols)
			if err == nil {
				for i := range s.vals {
					s.vals[i] = f(o.vals[i], b.vals[i])
				}
			}
			return ref, err
		})
	}
	scalar := func(f func(x, y float64) float64) function {
		return on(func(m *machine, o *object, a []float64) (float64, error) {
			s, ref, err := m.matrix(o.rows(), o.cols)
			if err == nil {
				for i := range s.vals {
					s.vals[i] = f(o.vals[i], a[1])
				}
			}
			return ref, err
		})
	}
	add := func(x, y float64) float64 { return x + y }
	sub := func(x, y float64) float64 { return x - y }
	all["matrix.sum"], all["matrix.diff"] = pair(add), pair(sub)
	all["matrix.sum_number"], all["matrix.diff_number"] = scalar(add), scalar(sub)
	all["matrix.mult_number"] = scalar(func(x, y float64) float64 { return x * y })
	all["matrix.mult"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		b := m.heap.get(a[1])
		if b == nil || o.cols != b.rows() {
			return 0, errors.New("the matrices cannot be multiplied: columns and rows differ")
		}
		p, ref, err := m.matrix(o.rows(), b.cols)
		if err == nil {
			multiply(p, o, b)
		}
		return ref, err
	})
	all["matrix.mult_array"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		b := m.heap.get(a[1])
		if b == nil || o.cols != len(b.vals) {
			return 0, errors.New("matrix and array cannot be multiplied: columns and elements differ")
		}
		out := make([]float64, o.rows())
		for r := range out {
			for k := range o.cols {
				out[r] += float64(o.vals[r*o.cols+k] * b.vals[k])
			}
		}
		return m.made(out)
	})
	all["matrix.kron"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		b := m.heap.get(a[1])
		if b == nil {
			return 0, errNaObject
		}
		br := b.rows()
		k, ref, err := m.matrix(o.rows()*br, o.cols*b.cols)
		if err == nil {
			for i := range k.vals {
				r, c := i/k.cols, i%k.cols
				k.vals[i] = o.vals[r/br*o.cols+c/b.cols] * b.vals[r%br*b.cols+c%b.cols]
			}
		}
		return ref, err
	})
	all["matrix.trace"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		s := 0.0
		for i := range min(o.rows(), o.cols) {
			s += o.vals[i*o.cols+i]
		}
		return s, nil
	})
	all["matrix.det"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		rows, err := square(o)
		if err != nil {
			return 0, err
		}
		d, _ := eliminate(rows, nil)
		return d, nil
	})
	inverse := on(func(m *machine, o *object, _ []float64) (float64, error) {
		rows, err := square(o)
		if err != nil {
			return 0, err
		}
		inv := identity(len(rows))
		if d, ok := eliminate(rows, inv); !ok || d == 0 {
			return math.NaN(), nil
		}
		return m.fromRows(inv)
	})
	all["matrix.inv"], all["matrix.pinv"] = inverse, inverse
	all["matrix.rank"] = on(func(_ *machine, o *object, _ []float64) (float64, error) { return float64(rank(o)), nil })
	all["matrix.pow"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		if _, err := square(o); err != nil {
			return 0, err
		}
		if a[1] != a[1] || a[1] < 0 || a[1] > 64 {
			return 0, errors.New("the power is outside 0 to 64")
		}
		ref, err := m.fromRows(identity(o.cols))
		for range whole(a[1]) {
			if err != nil {
				return ref, err
			}
			if ref, err = all["matrix.mult"](m, nil, []float64{ref, a[0]}); err == nil {
				err = m.worked(m.heap.size(ref))
			}
		}
		return ref, err
	})
	all["matrix.eigenvalues"] = on(func(m *machine, o *object, _ []float64) (float64, error) {
		rows, err := smallSquare(o)
		if err != nil {
			return 0, err
		}
		values, _ := eigen(rows)
		return m.made(values)
	})
	all["matrix.eigenvectors"] = on(func(m *machine, o *object, _ []float64) (float64, error) {
		rows, err := smallSquare(o)
		if err != nil {
			return 0, err
		}
		_, vectors := eigen(rows)
		return m.fromRows(vectors)
	})
	matrixTests(all)
}

func matrixTests(all map[string]function) {
	test := func(name string, needSquare bool, ok func(o *object, r, c int, v float64) bool) {
		all["matrix."+name] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
			if needSquare && o.rows() != o.cols {
				return 0, nil
			}
			for i, v := range o.vals {
				if !ok(o, i/o.cols, i%o.cols, v) {
					return 0, nil
				}
			}
			return 1, nil
		})
	}
	test("is_square", true, func(*object, int, int, float64) bool { return true })
	test("is_zero", false, func(_ *object, _, _ int, v float64) bool { return v == 0 })
	test("is_identity", true, func(_ *object, r, c int, v float64) bool { return v == bit(r == c) })
	test("is_diagonal", true, func(_ *object, r, c int, v float64) bool { return r == c || v == 0 })
	test("is_antidiagonal", true, func(o *object, r, c int, v float64) bool { return r+c == o.cols-1 || v == 0 })
	test("is_symmetric", true, func(o *object, r, c int, v float64) bool { return v == o.vals[c*o.cols+r] })
	test("is_antisymmetric", true, func(o *object, r, c int, v float64) bool { return v == -o.vals[c*o.cols+r] })
	test("is_binary", false, func(_ *object, _, _ int, v float64) bool { return v == 0 || v == 1 })
	all["matrix.is_triangular"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		upper, lower := o.rows() == o.cols, o.rows() == o.cols
		for i, v := range o.vals {
			if r, c := i/o.cols, i%o.cols; v != 0 {
				upper, lower = upper && r <= c, lower && r >= c
			}
		}
		return bit(upper || lower), nil
	})
	all["matrix.is_stochastic"] = on(func(_ *machine, o *object, _ []float64) (float64, error) {
		for r := range o.rows() {
			if s := sumOf(o.vals[r*o.cols : (r+1)*o.cols]); math.Abs(s-1) > 1e-9 {
				return 0, nil
			}
		}
		return 1, nil
	})
	all["matrix.sort"] = on(func(m *machine, o *object, a []float64) (float64, error) {
		at := or(a[1], 0)
		if at < 0 || at >= max(o.cols, 1) {
			return 0, errors.New("the column is out of bounds")
		}
		rows := make([][]float64, o.rows())
		for r := range rows {
			rows[r] = slices.Clone(o.vals[r*o.cols : (r+1)*o.cols])
		}
		down := m.run.text(a[2]) == "descending"
		slices.SortStableFunc(rows, func(x, y []float64) int {
			if down {
				return ascending(y[at], x[at])
			}
			return ascending(x[at], y[at])
		})
		for r := range rows {
			copy(o.vals[r*o.cols:], rows[r])
		}
		return 0, nil
	})
}
