package backtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every built-in strategy shows what it decides by: one value a bar, undefined only in the warm-up, of
// lines that explain its trades.
func TestEveryStrategyShowsWhatItDecidesBy(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 2000
	at := make([]int64, n)
	prices := make([]float64, n)
	price := 100.0
	for i := range at {
		at[i] = time.Date(2024, 1, 1, i, 0, 0, 0, time.UTC).UnixMicro()
		price *= math.Exp(0.01 * rng.NormFloat64())
		prices[i] = price
	}
	bars, err := NewBars(at, prices, prices, prices, prices, make([]float64, n))
	require.NoError(t, err)
	for _, s := range Strategies() {
		params, faults := CheckParams(s, nil)
		require.Empty(t, faults)
		plots := PlotsOf(bars, s, params)
		require.NotEmpty(t, plots, s.Name())
		for _, p := range plots {
			require.Len(t, p.Values, n, "%s: %s", s.Name(), p.Name)
			require.False(t, math.IsNaN(p.Values[n-1]), "%s: %s", s.Name(), p.Name)
		}
	}
	cross, _ := Lookup("sma_cross")
	plots := PlotsOf(bars, cross, Params{5, 20})
	var signals Signals
	cross.(Signaler).Signals(NewIndicators(bars), Params{5, 20}, &signals)
	require.NotEmpty(t, signals.list)
	for _, s := range signals.list[1:] {
		i := s.bar()
		require.Equal(t, s.short(), plots[0].Values[i] < plots[1].Values[i], "the lines cross where the strategy trades")
		require.Equal(t, s.short(), plots[0].Values[i-1] >= plots[1].Values[i-1])
	}
	donchian, _ := Lookup("donchian_breakout")
	high := PlotsOf(bars, donchian, Params{20, 10})[0].Values
	signals.list = nil
	donchian.(Signaler).Signals(NewIndicators(bars), Params{20, 10}, &signals)
	for _, s := range signals.list {
		if !s.short() {
			require.Greater(t, prices[s.bar()], high[s.bar()], "a close above the line is what is bought")
		}
	}
}
