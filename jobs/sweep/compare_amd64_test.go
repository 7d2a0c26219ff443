package sweep

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"
)

// Processors with the wider vectors do not take the others otherwise: both are held to the plain form here.
func TestVectorsOfEitherWidthCompareAlike(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	lower, upper := new(tileSums), new(tileSums)
	for range 200 {
		for i := range lower.sums {
			lower.sums[i], upper.sums[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
			lower.squares[i], upper.squares[i] = rng.Float32(), rng.Float32()
		}
		low := float32(rng.NormFloat64())
		under, notOver := comparePlain(lower, upper, low, low+0.3)
		if cpu.X86.HasAVX2 {
			a, b := compareAVX2(lower, upper, low, low+0.3)
			require.Equal(t, [2]uint64{under, notOver}, [2]uint64{a, b})
		}
		if cpu.X86.HasAVX512F {
			a, b := compareAVX512(lower, upper, low, low+0.3)
			require.Equal(t, [2]uint64{under, notOver}, [2]uint64{a, b})
		}
	}
}
