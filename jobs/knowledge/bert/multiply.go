package bert

import (
	"runtime"

	"millrace/ops/routine"
)

// panel is how many columns the kernel computes side by side: two registers of eight.
const panel = 16

// pack lays weights [out][in] down as panels of 16 columns, each row by row, padded with zeros.
func pack(weights []float32, out, in int) []float32 {
	panels := (out + panel - 1) / panel
	packed := make([]float32, panels*in*panel)
	for o := range out {
		base := o / panel * in * panel
		for i := range in {
			packed[base+i*panel+o%panel] = weights[o*in+i]
		}
	}
	return packed
}

// multiply is out[n][width] = in[n][depth]·weightsᵀ + bias, over all cores: panels are shared out.
func multiply(out, in, packed, bias []float32, n, depth, width int) {
	if n*depth*width < 1<<20 { // not worth a second core
		multiplyPanels(out, in, packed, bias, n, depth, width)
		return
	}
	share((width+panel-1)/panel, func(p int) {
		multiplyPanel(out, in, packed[p*depth*panel:(p+1)*depth*panel], bias, n, depth, width, p*panel)
	})
}

// multiplyPanels is multiply on this core alone.
func multiplyPanels(out, in, packed, bias []float32, n, depth, width int) {
	for p := range (width + panel - 1) / panel {
		multiplyPanel(out, in, packed[p*depth*panel:(p+1)*depth*panel], bias, n, depth, width, p*panel)
	}
}

// share calls fn with each number below n, on all cores: on each with numbers that follow each other.
func share(n int, fn func(i int)) {
	cores := min(runtime.GOMAXPROCS(0), n)
	var group routine.Group
	for core := range cores {
		group.Run(func() error {
			for i := n * core / cores; i < n*(core+1)/cores; i++ {
				fn(i)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		panic(err) // the functions return no error, so it is a panic of one of them
	}
}

// multiplyPanel computes 16 columns of out, four rows at a time.
func multiplyPanel(out, in, weights, bias []float32, n, depth, width, column int) {
	var sums [4 * panel]float32
	columns := min(panel, width-column)
	for row := 0; row < n; row += 4 {
		rows := min(4, n-row)
		// Beyond the last row the last is computed again, and dropped.
		var at [4]int
		for r := range at {
			at[r] = min(row+r, n-1) * depth
		}
		kernel(&sums, in[at[0]:at[0]+depth], in[at[1]:at[1]+depth], in[at[2]:at[2]+depth], in[at[3]:at[3]+depth], weights)
		for r := range rows {
			to := out[(row+r)*width+column:][:columns]
			for c := range to {
				to[c] = sums[r*panel+c] + bias[column+c]
			}
		}
	}
}

// kernelPlain is the kernel in Go: sums of four rows by 16 columns.
func kernelPlain(sums *[4 * panel]float32, a, b, c, d, weights []float32) {
	clear(sums[:])
	for i := range a {
		w := weights[i*panel : i*panel+panel : i*panel+panel]
		w0, w1, w2, w3 := a[i], b[i], c[i], d[i]
		for j, x := range w {
			sums[j] += w0 * x
			sums[panel+j] += w1 * x
			sums[2*panel+j] += w2 * x
			sums[3*panel+j] += w3 * x
		}
	}
}
