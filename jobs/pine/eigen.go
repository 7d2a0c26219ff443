package pine

import (
	"math"
	"slices"
)

// eigen finds values, largest first, and vectors as columns: by Jacobi's rotations for a symmetric
// matrix, by QR steps otherwise.
func eigen(a [][]float64) ([]float64, [][]float64) {
	n := len(a)
	v := identity(n)
	if symmetric(a) {
		jacobi(a, v)
	} else {
		for range 200 {
			a = qrStep(a)
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return ascending(a[j][j], a[i][i]) })
	values, vectors := make([]float64, n), identity(n)
	for k, i := range order {
		values[k] = a[i][i]
		for r := range n {
			vectors[r][k] = v[r][i]
		}
	}
	return values, vectors
}

func symmetric(a [][]float64) bool {
	for i := range a {
		for j := range i {
			if math.Abs(a[i][j]-a[j][i]) > tolerance {
				return false
			}
		}
	}
	return true
}

func jacobi(a, v [][]float64) {
	n := len(a)
	for range 60 {
		off := 0.0
		for i := range n {
			for j := range i {
				off += float64(a[i][j] * a[i][j])
			}
		}
		if off < 1e-30 || off != off {
			return
		}
		for p := range n {
			for q := p + 1; q < n; q++ {
				rotate(a, v, p, q)
			}
		}
	}
}

// rotate makes a[p][q] zero.
func rotate(a, v [][]float64, p, q int) {
	if a[p][q] == 0 {
		return
	}
	theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
	t := 1 / (math.Abs(theta) + math.Sqrt(float64(theta*theta)+1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(float64(t*t)+1)
	s := t * c
	for k := range a {
		x, y := a[k][p], a[k][q]
		a[k][p], a[k][q] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
	}
	for k := range a {
		x, y := a[p][k], a[q][k]
		a[p][k], a[q][k] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
		x, y = v[k][p], v[k][q]
		v[k][p], v[k][q] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
	}
}

// qrStep is R·Q of a = Q·R, by Gram-Schmidt.
func qrStep(a [][]float64) [][]float64 {
	n := len(a)
	q, r := identity(n), identity(n)
	for j := range n {
		u := make([]float64, n)
		for i := range n {
			u[i] = a[i][j]
		}
		for k := range j {
			dot := 0.0
			for i := range n {
				dot += float64(q[i][k] * a[i][j])
			}
			r[k][j] = dot
			for i := range n {
				u[i] -= float64(dot * q[i][k])
			}
		}
		norm := 0.0
		for i := range n {
			norm += float64(u[i] * u[i])
		}
		norm = math.Sqrt(norm)
		r[j][j] = norm
		for i := range n {
			q[i][j] = 0
			if norm > 0 {
				q[i][j] = u[i] / norm
			}
		}
	}
	out := identity(n)
	for i := range n {
		for j := range n {
			out[i][j] = 0
			for k := range n {
				out[i][j] += float64(r[i][k] * q[k][j])
			}
		}
	}
	return out
}
