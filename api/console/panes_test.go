package console

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

func names(lines []backtest.Plot) (all []string) {
	for _, line := range lines {
		all = append(all, line.Name)
	}
	return all
}

// A line goes onto the price's axis only where it leaves the price readable; oscillators, volumes and levels share panes
// with lines of their own scale, whether the strategy asked for the price or not.
func TestLinesOfAnotherScaleLeaveThePricesAxis(t *testing.T) {
	t.Parallel()
	const n = 1000
	series := func(of func(i int) float64) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = of(i)
		}
		return values
	}
	wave := func(i int) float64 { return math.Sin(float64(i) / 20) }
	for _, level := range []float64{50, 4000, 0.0003} {
		closes := series(func(i int) float64 { return level * (1 + 0.2*math.Sin(float64(i)/150)) })
		bars := &backtest.Bars{Close: closes}
		lines := []backtest.Plot{
			{Name: "mean", Values: series(func(i int) float64 { return closes[max(i-10, 0)] })},
			{Name: "upper band", Values: series(func(i int) float64 { return closes[i] * 1.1 })},
			{Name: "stop, zero until it is set", Values: series(func(i int) float64 {
				if i < 40 {
					return 0
				}
				return closes[i] * 0.95
			})},
			{Name: "overbought", Values: series(func(int) float64 { return 95 })},
			{Name: "RSI", Values: series(func(i int) float64 { return 50 + 45*wave(i) })},
			{Name: "volume", Values: series(func(i int) float64 { return 1e9 + 5e8*wave(i) })},
			{Name: "MACD", Values: series(func(i int) float64 { return 0.01 * level * wave(i) }), Pane: true},
			{Name: "signal line", Values: series(func(i int) float64 { return 0.008 * level * wave(i-5) }), Pane: true},
			{Name: "nothing", Values: series(func(int) float64 { return math.NaN() })},
		}
		d := arrange(bars, backtest.Window{To: n}, lines)
		require.Equal(t, []string{"mean", "upper band", "stop, zero until it is set", "nothing"}, names(d.price), "%v", level)
		var panes [][]string
		for _, pane := range d.panes {
			panes = append(panes, names(pane))
		}
		if level == 4000 { // its MACD goes from -40 to 40, which the RSI's pane holds
			require.Equal(t, [][]string{{"RSI", "MACD", "signal line", "overbought"}, {"volume"}}, panes)
			continue
		}
		require.Equal(t, [][]string{{"RSI", "overbought"}, {"volume"}, {"MACD", "signal line"}}, panes, "%v", level)
		require.Equal(t, "Indicators: MACD, signal line", d.title(2))
	}
	// Beside a price that has grown from 60 to 5,000 an oscillator would be a flat line at the bottom.
	grown := series(func(i int) float64 { return 60 + 5*float64(i) })
	d := arrange(&backtest.Bars{Close: grown}, backtest.Window{To: n}, []backtest.Plot{{Name: "RSI", Values: series(func(i int) float64 { return 50 + 45*wave(i) })}})
	require.Empty(t, d.price)
	require.Equal(t, []string{"RSI"}, names(d.panes[0]))
	many := drawn{price: make([]backtest.Plot, 9), panes: [][]backtest.Plot{make([]backtest.Plot, 10), make([]backtest.Plot, 2)}}
	require.Equal(t, 2+2, many.cut(8))
	require.Equal(t, 7+8+2, many.count())
}
