package evidence

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sums of two lags at once have the bits of sums that are taken one after the other.
func TestLagsAreSummedAsOneByOne(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for n := 20; n < 90; n++ {
		d := make([]float64, n)
		for i := range d {
			d[i] = rng.NormFloat64()
		}
		for lag := 0; lag < n-3; lag += 2 {
			var got [2]lagSums
			got[0], got[1] = sumLags(d, lag)
			for i, g := range got {
				var want lagSums
				for k := lag + i; k < n; k++ {
					want.cross += float64(d[k] * d[k-lag-i])
				}
				for k := lag + i + 1; k < n; k++ {
					want.late += float64(d[k] * d[k])
					want.early += float64(d[k-lag-i-1] * d[k-lag-i-1])
				}
				require.Equal(t, want, g)
			}
		}
	}
}
