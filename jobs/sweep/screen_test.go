package sweep

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func requireSameBits(t *testing.T, want, got pboResult, msg string) {
	t.Helper()
	bitsOf := func(r pboResult) [3]uint64 {
		return [3]uint64{math.Float64bits(r.pbo), math.Float64bits(r.slope), math.Float64bits(r.loss)}
	}
	require.Equal(t, bitsOf(want), bitsOf(got), "%s: want %v, got %v", msg, want, got)
}

// Sharing the work of comparing trials changes no bit of what comparing all their ratios gives: not where trials
// are equal, nor where they differ by no more than rounding, and whatever the number of trials.
func TestScreenedCrossValidationHasTheBitsOfAllRatios(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(trial int, returns [][]float64){
		"noise":       func(int, [][]float64) {},
		"all lose":    func(i int, returns [][]float64) { shift(returns[i], -0.004) },
		"all gain":    func(i int, returns [][]float64) { shift(returns[i], 0.004) },
		"equal":       func(i int, returns [][]float64) { copy(returns[i], returns[i/3]) },
		"by rounding": func(i int, returns [][]float64) { scaled(returns[i], returns[i%5], float64(1+i)) },
		"losers by rounding": func(i int, returns [][]float64) {
			shift(returns[i], -0.02)
			scaled(returns[i], returns[i%2], float64(1+i)/3)
		},
		"seldom trade": func(i int, returns [][]float64) {
			for k := range returns[i] {
				if k/7%11 != i%11 {
					returns[i][k] = 0
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(7, 8))
			for _, size := range [][2]int{{2, 160}, {63, 200}, {65, 333}, {130, 170}} {
				returns := noise(rng, size[0], size[1], func(int) float64 { return 0 })
				for i := range returns {
					spoil(i, returns)
				}
				rows := rowsOf(returns)
				require.True(t, screenable(rows))
				requireSameBits(t, judgeEachRatio(rows), judgeSplits(rows), name)
			}
		})
	}
}

func shift(returns []float64, by float64) {
	for i := range returns {
		returns[i] += by
	}
}

func scaled(to, from []float64, by float64) {
	for i := range to {
		to[i] = by * from[i]
	}
}

// Trials whose variance rounding may lose are compared by their ratios.
func TestTrialsThatRoundingMovesAreNotScreened(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(returns []float64){
		"a block of one return": func(returns []float64) {
			for i := range returns[:20] {
				returns[i] = 0.01
			}
		},
		"returns near zero": func(returns []float64) { scaled(returns, returns, 1e-13) },
		"huge returns":      func(returns []float64) { scaled(returns, returns, 1e60) },
		"infinite returns":  func(returns []float64) { returns[3] = math.Inf(1) },
		"undefined returns": func(returns []float64) { returns[3] = math.NaN() },
	} {
		returns := noise(rand.New(rand.NewPCG(9, 1)), 5, 160, func(int) float64 { return 0 })
		require.True(t, screenable(rowsOf(returns)), name)
		spoil(returns[4])
		require.False(t, screenable(rowsOf(returns)), name)
		got, missing := crossValidate(rowsOf(returns))
		require.Empty(t, missing)
		requireSameBits(t, judgeEachRatio(rowsOf(returns)), got, name)
	}
}
