package evidence

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The length of a number is that of its logarithm: for numbers all over, for those next to a power, and for the least and the largest.
func TestBlockLengthsAreThoseOfTheLogarithm(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, mean := range []float64{1.0000001, 1.3, 2, 3.7, 16.36, 68.003, 500, 4096, 4097, 1e6} {
		l := newLengths(mean)
		require.Equal(t, mean <= longestMean, l.powers != nil)
		check := func(u float64) {
			if u > 0 && u <= 1 {
				require.Equal(t, l.exactly(u), l.of(u), "mean %v, u %v", mean, u)
			}
		}
		for range 200_000 {
			check(1 - rng.Float64())
		}
		for _, power := range l.powers {
			for _, by := range []float64{0, 1e-16, 1e-12, 0.9 * powerMargin, 1.1 * powerMargin, 1e-6} {
				check(power * (1 - by))
				check(power * (1 + by))
			}
		}
		for part := range parts {
			u := float64(part) / parts
			check(u)
			check(math.Nextafter(u, 0))
			check(math.Nextafter(u, 1))
		}
		check(0x1p-53)
		check(1)
	}
}

func BenchmarkDraws(b *testing.B) {
	b.Log("the draws of 1,000 resamples of 35,000 periods in blocks of 68")
	for b.Loop() {
		newDraws(35_000, Options{Resamples: 1000, Block: 68, Seed: 1}).next(1000)
	}
}
