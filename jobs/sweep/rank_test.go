package sweep

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Rows ordered by the bits of their scores have the order of comparisons: of scores of either sign and size, undefined
// ones, zeros of either sign, and ties that parameters decide, or the index.
func TestRowsAreOrderedAsTheyCompare(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	odd := []float64{0, math.Copysign(0, -1), math.NaN(), -math.NaN(), math.Inf(1), math.Inf(-1), 5e-324, -5e-324, math.MaxFloat64, 1, 1}
	for round := range 300 {
		cols := newColumns(2, 0)
		spec := Spec{OOSRatio: new(0.3), SelectOn: []string{SelectInSample, SelectOutOfSample}[round%2]}
		for range rng.IntN(400) {
			row := trialRow{scoreIS: rng.NormFloat64(), scoreOOS: math.Float64frombits(rng.Uint64())}
			if rng.IntN(3) > 0 {
				row.scoreIS, row.scoreOOS = odd[rng.IntN(len(odd))], odd[rng.IntN(len(odd))]
			}
			cols.append([]float64{float64(rng.IntN(2)), float64(rng.IntN(2))}, &row)
		}
		var want []int32
		for i := range cols.len() {
			if rng.IntN(4) > 0 {
				want = append(want, int32(i))
			}
		}
		got := slices.Clone(want)
		slices.SortFunc(want, func(a, b int32) int { return cols.compare(spec, int(a), int(b)) })
		cols.sort(spec, got)
		require.Equal(t, want, got)
	}
}
