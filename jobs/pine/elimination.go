package pine

import (
	"math"
	"slices"
)

func multiply(p, a, b *object) {
	for r := range a.rows() {
		for c := range b.cols {
			s := 0.0
			for k := range a.cols {
				s += float64(a.vals[r*a.cols+k] * b.vals[k*b.cols+c])
			}
			p.vals[r*b.cols+c] = s
		}
	}
}

func identity(n int) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, n)
		out[i][i] = 1
	}
	return out
}

// eliminate makes a the identity by row operations, done to side too, and returns its determinant.
func eliminate(a, side [][]float64) (det float64, ok bool) {
	n := len(a)
	det = 1
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[pivot][c]) {
				pivot = r
			}
		}
		if math.Abs(a[pivot][c]) < 1e-12 {
			return 0, false
		}
		if pivot != c {
			a[pivot], a[c] = a[c], a[pivot]
			if side != nil {
				side[pivot], side[c] = side[c], side[pivot]
			}
			det = -det
		}
		p := a[c][c]
		det *= p
		for k := range n {
			a[c][k] /= p
			if side != nil {
				side[c][k] /= p
			}
		}
		for r := range n {
			f := a[r][c]
			if r == c || f == 0 {
				continue
			}
			for k := range n {
				a[r][k] -= float64(f * a[c][k])
				if side != nil {
					side[r][k] -= float64(f * side[c][k])
				}
			}
		}
	}
	return det, true
}

func rank(o *object) int {
	rows := make([][]float64, o.rows())
	for r := range rows {
		rows[r] = slices.Clone(o.vals[r*o.cols : (r+1)*o.cols])
	}
	n := 0
	for c := 0; c < o.cols && n < len(rows); c++ {
		pivot := n
		for r := n; r < len(rows); r++ {
			if math.Abs(rows[r][c]) > math.Abs(rows[pivot][c]) {
				pivot = r
			}
		}
		if math.Abs(rows[pivot][c]) < 1e-10 {
			continue
		}
		rows[pivot], rows[n] = rows[n], rows[pivot]
		for r := n + 1; r < len(rows); r++ {
			f := rows[r][c] / rows[n][c]
			for k := c; k < o.cols; k++ {
				rows[r][k] -= float64(f * rows[n][k])
			}
		}
		n++
	}
	return n
}
