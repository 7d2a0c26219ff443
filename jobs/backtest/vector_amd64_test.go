package backtest

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"
)

// A processor with vectors of eight does not take those of four, and has them do what the plain functions do here.
func TestVectorsOfFourEqualPlainFunctions(t *testing.T) {
	t.Parallel()
	if !cpu.X86.HasAVX2 {
		t.Skip("the processor has no vectors of four")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 2000 {
		odd := []float64{0, 0.01, 0.3}[round%3]
		n, width := 4*(1+rng.IntN(16)), 10*rng.NormFloat64()
		equity := hostile(rng, n, odd)
		still, plain := quietAVX2(&equity[0], n, 96, 104), quietPlain(equity, 96, 104)
		require.True(t, still <= plain && plain-still < 4, "quiet passed over %d bars of %d", still, plain)

		a, b := (*[64]float64)(hostile(rng, 64, odd)), (*[64]float64)(hostile(rng, 64, odd))
		over, under := compareAVX2(&a[0], &b[0])
		plainOver, plainUnder := comparePlain(a, b)
		require.Equal(t, [2]uint64{plainOver, plainUnder}, [2]uint64{over, under})

		var low, high, plainLow, plainHigh [64]float64
		bandsAVX2(&low, &high, a, b, width)
		bandsPlain(&plainLow, &plainHigh, a, b, width)
		requireBits(t, append(plainLow[:], plainHigh[:]...), append(low[:], high[:]...))
	}
}
