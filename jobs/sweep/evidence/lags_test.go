package evidence

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sums of many lags at once have the bits of sums that are taken one after the other, in vectors and without.
func TestLagsAreSummedAsOneByOne(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for n := 20; n < 90; n++ {
		d := normal(rng, n)
		most := n - 2
		early := firstSquares(d, most)
		for lag := 0; lag <= most; lag++ {
			got := sumLags(d, lag)
			require.Equal(t, sumLagsPlain(d, lag), got)
			for i := 0; i < lagsAtOnce && lag+i <= most; i++ {
				var want lagSums
				var before float64
				for k := lag + i; k < n; k++ {
					want.cross += float64(d[k] * d[k-lag-i])
				}
				for k := lag + i + 1; k < n; k++ {
					want.late += float64(d[k] * d[k])
					before += float64(d[k-lag-i-1] * d[k-lag-i-1])
				}
				require.Equal(t, want, got[i], "lag %d of %d", lag+i, n)
				require.Equal(t, before, early[lag+i])
			}
		}
	}
}

func normal(rng *rand.Rand, n int) []float64 {
	d := make([]float64, n)
	for i := range d {
		d[i] = rng.NormFloat64()
	}
	return d
}

// The products of four rows at once, and sums of spans, have the bits of those that are taken one by one.
func TestRowsAreMultipliedAndSpansSummedAsOneByOne(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	for n := 1; n < 70; n++ {
		a, b := normal(rng, n), [4][]float64{normal(rng, n), normal(rng, n), normal(rng, n), normal(rng, n)}
		for i, product := range dots(a, b) {
			require.Equal(t, dot(a, b[i]), product)
		}
		group := newRunningGroup(b[:])
		var spans []span
		require.Equal(t, group.sumPlain(spans), group.sum(spans))
		for range n {
			from := rng.IntN(n)
			spans = append(spans, span{int32(from), int32(from + 1 + rng.IntN(n-from))})
			require.Equal(t, group.sumPlain(spans), group.sum(spans))
		}
	}
}
