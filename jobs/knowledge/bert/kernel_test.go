package bert

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProductsAreThoseOfTheDefinition(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	random := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		return values
	}
	for _, size := range [][3]int{{1, 1, 1}, {3, 7, 16}, {4, 24, 17}, {9, 40, 24}, {70, 384, 100}, {130, 384, 1536}} {
		n, depth, width := size[0], size[1], size[2]
		in, weights, bias, out := random(n*depth), random(width*depth), random(width), make([]float32, n*width)
		multiply(out, in, pack(weights, width, depth), bias, n, depth, width)
		for _, at := range []int{0, n*width - 1, r.IntN(n * width), r.IntN(n * width)} {
			row, column := at/width, at%width
			sum := float64(bias[column])
			for i := range depth {
				sum += float64(in[row*depth+i]) * float64(weights[column*depth+i])
			}
			require.InDelta(t, sum, out[at], 1e-3, "%v at %d", size, at)
		}
		var fast, plain [4 * panel]float32
		packed := pack(weights, width, depth)[:depth*panel]
		kernel(&fast, in[:depth], in[:depth], in[:depth], in[:depth], packed)
		kernelPlain(&plain, in[:depth], in[:depth], in[:depth], in[:depth], packed)
		require.InDeltaSlice(t, plain[:], fast[:], 1e-3)
	}
}

func BenchmarkProduct(b *testing.B) {
	const n, depth, width = 256, 384, 1536
	in, out, packed := make([]float32, n*depth), make([]float32, n*width), make([]float32, depth*width)
	for b.Loop() {
		multiply(out, in, packed, make([]float32, width), n, depth, width)
	}
	b.ReportMetric(2*n*depth*width*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// Attention by products is that by its definition.
func TestAttentionMixesValuesByFit(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 6))
	e := &encoder{config: config{Hidden: 24, Heads: 3}}
	const n, h, size = 21, 24, 8
	q, k, v, mixed := make([]float32, n*h), make([]float32, n*h), make([]float32, n*h), make([]float32, n*h)
	for i := range q {
		q[i], k[i], v[i] = float32(r.NormFloat64()), float32(r.NormFloat64()), float32(r.NormFloat64())
	}
	e.attend(mixed, q, k, v, n)
	for i := range n {
		for column := range h {
			at := column / size * size
			var sum, total float64
			for j := range n {
				fit := 0.0
				for d := range size {
					fit += float64(q[i*h+at+d]) * float64(k[j*h+at+d])
				}
				weight := math.Exp(fit / math.Sqrt(size))
				sum, total = sum+weight*float64(v[j*h+column]), total+weight
			}
			require.InDelta(t, sum/total, mixed[i*h+column], 1e-4)
		}
	}
}
