package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMarketIsSaidInASentence(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a market of no particular kind", marketText(nil))
	require.Equal(t, "a market that is in a downtrend, trending, of high volatility, noisy", marketText([]string{"downtrend", "trending", "high_volatility", "noisy"}))
	require.Equal(t, "a market that is in an uptrend, of low volatility", marketText([]string{"uptrend", "low_volatility"}))
}
