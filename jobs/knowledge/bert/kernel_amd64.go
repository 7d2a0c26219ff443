package bert

import "golang.org/x/sys/cpu"

// kernel sums four rows by 16 columns over the depth: sums[r][c] = Σ row_r[i]·weights[i][c].
func kernel(sums *[4 * panel]float32, a, b, c, d, weights []float32) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		kernelPlain(sums, a, b, c, d, weights)
		return
	}
	kernelAVX2(&sums[0], &a[0], &b[0], &c[0], &d[0], &weights[0], len(a))
}

//go:noescape
func kernelAVX2(sums, a, b, c, d, weights *float32, depth int)
