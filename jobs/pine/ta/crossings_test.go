package ta

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCrossingsAsBitsAreThoseOfTheKernels compares the columns of bits with the kernels bar by bar, over series with
// gaps, ties, infinities and lengths around the size of a word.
func TestCrossingsAsBitsAreThoseOfTheKernels(t *testing.T) {
	set := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 4))
		n := 1 + r.IntN(300)
		series := func(gaps int) []float64 {
			if r.IntN(5) == 0 {
				return []float64{float64(r.IntN(3))}
			}
			v := make([]float64, n)
			for i := range v {
				v[i] = float64(r.IntN(4) - 2)
				if i < gaps || gaps > 0 && r.IntN(40) == 0 {
					v[i] = math.NaN()
				} else if r.IntN(50) == 0 {
					v[i] = math.Inf(1 - 2*r.IntN(2))
				}
			}
			return v
		}
		a, b := series(r.IntN(2)*r.IntN(90)), series(r.IntN(2)*r.IntN(90))
		at := func(v []float64, i int) float64 {
			if len(v) == 1 {
				return v[0]
			}
			return v[i]
		}
		words, column := make([]uint64, (n+63)/64), make([]float64, n)
		for name, sign := range map[string]float64{"crossover": 1, "crossunder": -1} {
			Crossings(sign < 0, a, b, n, words)
			k, out := &crossing{sign: sign}, []float64{0}
			for i := range n {
				if err := k.Next(i, []float64{at(a, i), at(b, i)}, out); err != nil {
					t.Fatal(err)
				}
				column[i] = out[0]
				if got := float64(words[i/64] >> (i % 64) & 1); got != out[0] {
					t.Fatalf("seed %d: %s on bar %d of %d is %v, the kernel's %v", seed, name, i, n, got, out[0])
				}
				if out[0] == 1 {
					set++
				}
			}
			packed := make([]uint64, len(words))
			Pack(column, packed)
			for i := range words {
				if packed[i] != words[i] {
					t.Fatalf("seed %d: word %d packed is %b, not %b", seed, i, packed[i], words[i])
				}
			}
			next := n
			for i := n - 1; i >= 0; i-- {
				if column[i] == 1 {
					next = i
				}
				if got := NextBit(words, i, n); got != next {
					t.Fatalf("seed %d: the next bit from %d of %d is %d, not %d", seed, i, n, got, next)
				}
			}
		}
	}
	if set < 1000 {
		t.Fatalf("only %d crossings", set)
	}
}

func BenchmarkCrossings(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	x, y := make([]float64, 20_000), make([]float64, 20_000)
	for i := range x {
		x[i], y[i] = r.NormFloat64(), r.NormFloat64()
	}
	out := make([]uint64, (len(x)+63)/64)
	for b.Loop() {
		Crossings(false, x, y, len(x), out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/bar")
}
