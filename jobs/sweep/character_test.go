package sweep

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The figures of a walk are those of independent normal returns, within four standard errors.
func TestCharacterOfAWalkIsThatOfIndependentReturns(t *testing.T) {
	t.Parallel()
	c := NewCharacter(randomWalk(t, 3000, 5), 3000)
	require.Equal(t, 1000, c.Bars)
	require.InDelta(t, 0.01, c.Volatility, 0.001)
	require.InDelta(t, 0, c.Drift, 4/math.Sqrt(1000))
	require.InDelta(t, 0, c.Autocorrelation, 4/math.Sqrt(1000))
	require.InDelta(t, 1, c.VarianceRatio5, 0.3)
	require.InDelta(t, 1, c.VarianceRatio20, 0.6)
	require.InDelta(t, 0, c.Clustering, 0.06)
	require.InDelta(t, 3, c.Kurtosis, 0.7)
	require.Greater(t, c.Shape, 1.0)
}

// Only the bars before the decision and in the window count; fewer than a hundred have no character, and prices that
// do not move have one without noise in it.
func TestCharacterReadsItsWindowOnly(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1500, 6)
	require.Equal(t, NewCharacter(bars, 1200), NewCharacter(bars.Slice(200, 1200), 1000))
	require.NotEqual(t, NewCharacter(bars, 1200), NewCharacter(bars, 1201))
	require.Nil(t, NewCharacter(bars, MinCharacterBars-1))
	require.NotNil(t, NewCharacter(bars, MinCharacterBars))
	still := bars.Slice(0, 300)
	for i := range still.Close {
		still.Open[i], still.High[i], still.Low[i], still.Close[i] = 100, 100, 100, 100
	}
	require.Equal(t, &Character{Bars: 300}, NewCharacter(still, 300))
}
