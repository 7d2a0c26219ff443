//go:build !amd64

package bert

// kernel sums four rows by 16 columns over the depth: sums[r][c] = Σ row_r[i]·weights[i][c].
func kernel(sums *[4 * panel]float32, a, b, c, d, weights []float32) {
	kernelPlain(sums, a, b, c, d, weights)
}
