package sweep

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"
)

// Processors with the wider vectors do not take the others otherwise: both are held to the plain form here.
func TestVectorsOfEitherWidthCompareAlike(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 30 {
		tile, b := drawnTile(rng)
		upper, lower, n := &tile.sums[1][0][b.upper], &tile.sums[0][0][0], len(b.lowers)
		least := slices.Repeat([]float32{float32(math.Inf(-1 + round%2*2))}, n) // nothing is above the second
		b.low = slices.Clone(least)
		peaksPlain(tile, b)
		narrow, wide := slices.Clone(least), slices.Clone(least)
		if cpu.X86.HasAVX2 {
			peaksAVX2(upper, lower, &b.lowers[0], n, &narrow[0])
			require.Equal(t, b.low, narrow)
		}
		if cpu.X86.HasAVX512F {
			peaksAVX512(upper, lower, &b.lowers[0], n, &wide[0])
			require.Equal(t, b.low, wide)
		}
		for k := range b.low {
			b.low[k] = float32(rng.NormFloat64())
			b.high[k] = b.low[k] + 0.3*rng.Float32()
		}
		comparePlain(tile, b, true)
		under, within := tile.under, tile.within
		requireSame := func(both bool, fn func()) {
			tile.under, tile.within = [batchHalves]uint64{}, [batchHalves]uint64{}
			fn()
			require.Equal(t, under[:n], tile.under[:n])
			if both {
				require.Equal(t, within[:n], tile.within[:n])
			}
		}
		if cpu.X86.HasAVX2 {
			requireSame(false, func() { underAVX2(upper, lower, &b.lowers[0], n, &b.low[0], &tile.under[0]) })
			requireSame(true, func() {
				rankAVX2(upper, lower, &b.lowers[0], n, &b.low[0], &b.high[0], &tile.under[0], &tile.within[0])
			})
		}
		if cpu.X86.HasAVX512F {
			requireSame(false, func() { underAVX512(upper, lower, &b.lowers[0], n, &b.low[0], &tile.under[0]) })
			requireSame(true, func() {
				rankAVX512(upper, lower, &b.lowers[0], n, &b.low[0], &b.high[0], &tile.under[0], &tile.within[0])
			})
		}
		requireSums(t, &tile.sums[0][0][7], &tile.sums[1][2][9])
	}
}

// drawnTile is a tile of any sums, some of trials that did not trade, and a batch of some halves.
func drawnTile(rng *rand.Rand) (*tile, *batch) {
	t := newTile()
	for side := range t.sums {
		for column := range t.sums[side] {
			for set := range t.sums[side][column] {
				sums := &t.sums[side][column][set]
				for i := range sums.sums {
					if i%7 != 3 {
						sums.sums[i], sums.squares[i] = float32(rng.NormFloat64()), rng.Float32()
					}
				}
			}
		}
	}
	n := 1 + rng.IntN(batchHalves)
	b := &batch{upper: rng.Uint32N(256), halves: make([]int32, n), low: make([]float32, n), high: make([]float32, n)}
	for range n {
		b.lowers = append(b.lowers, columnBytes*rng.Uint32N(256))
	}
	return t, b
}

func requireSums(t *testing.T, a, b *columnSums) {
	t.Helper()
	var both, want columnSums
	addSums(&both, a, b)
	addPlain(&want, a, b)
	require.Equal(t, want, both)
}
