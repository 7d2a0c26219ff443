package pine_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/pine"
)

const plottedScript = `//@version=6
strategy("Plots", overlay=true, default_qty_type=strategy.percent_of_equity, default_qty_value=50)
slowLength = input.int(30, "Slow Length", minval=2)
fast = ta.sma(close, 10)
slow = ta.sma(close, slowLength)
if ta.crossover(fast, slow)
    strategy.entry("L", strategy.long)
if ta.crossunder(fast, slow)
    strategy.close("L")
changed = fast
first = plot(fast, "Fast <b>mean</b>", color.blue)
second = plot(slow, color = color.red, linewidth = 2)
fill(first, second)
plot(changed, "before")
changed := changed + 1000
plot(changed, "after")
hline(70, "level")
plot(strategy.position_size, "held")
plot(close, "ahead", offset = -2)
plot(ta.sma(close, input.int(9, "Drawn only")), "own input")
plot(ta.ema(close, 9), "hidden", display = display.none)
plot(request.security("NYSE:X", "D", close), "of another symbol")
plot(close > open ? 1 : na, "` + "LONG" + `")
plot(na)
plot(unheard_of(close), "unknown")
plotshape(close > open)
`

func linesOf(t *testing.T, source string, bars *backtest.Bars, named map[string]float64, windows ...backtest.Window) ([]backtest.Plot, backtest.Trader) {
	t.Helper()
	s := compiled(t, source)
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	trader.Prepare(values(t, s, named))
	lines, leftOut, err := trader.(backtest.Drawer).Lines(windows...)
	require.NoError(t, err)
	require.Zero(t, leftOut)
	return lines, trader
}

// What a script plots has its title, the values of the bar, and those of its position; what cannot be computed has
// none, and does not keep the others from being shown.
func TestLinesAreWhatTheScriptPlots(t *testing.T) {
	t.Parallel()
	bars := testBars(t)
	source := strings.Replace(plottedScript, "LONG", strings.Repeat("x", 200), 1)
	in, out := backtest.Window{From: 0, To: 1000}, backtest.Window{From: 1000, To: 1400}
	lines, trader := linesOf(t, source, bars, map[string]float64{"Slow Length": 40}, in, out)
	byName := map[string]backtest.Plot{}
	var names []string
	for _, line := range lines {
		require.Len(t, line.Values, bars.Len())
		require.False(t, line.Pane, "the script is on the price's scale")
		byName[line.Name] = line
		names = append(names, line.Name)
	}
	require.Equal(t, []string{
		"Fast <b>mean</b>", "slow", "before", "after", "level", "held", "ahead", "own input", "of another symbol", strings.Repeat("x", 59) + "…",
	}, names)

	ind := backtest.NewIndicators(bars)
	for name, want := range map[string][]float64{"Fast <b>mean</b>": ind.SMA(10), "slow": ind.SMA(40), "before": ind.SMA(10), "own input": ind.SMA(9)} {
		for i := range out.To {
			if math.IsNaN(want[i]) {
				require.True(t, math.IsNaN(byName[name].Values[i]), "%s at %d", name, i)
				continue
			}
			require.InEpsilon(t, want[i], byName[name].Values[i], 1e-9, "%s at %d", name, i)
		}
	}
	require.InDelta(t, byName["before"].Values[500]+1000, byName["after"].Values[500], 1e-9, "a plot has the value that is there where it stands")
	require.Equal(t, 70.0, byName["level"].Values[0])
	require.Equal(t, bars.Close[502], byName["ahead"].Values[500])
	require.True(t, math.IsNaN(byName["of another symbol"].Values[500]))
	for i := out.To; i < bars.Len(); i++ {
		require.True(t, math.IsNaN(byName["slow"].Values[i]), "a bar that the trial does not see is shown")
	}

	// Each window begins flat, and the position on the chart is that of its trades.
	held := make([]float64, out.To)
	for _, w := range []backtest.Window{in, out} {
		trades, _ := trader.Trace(w)
		require.NotEmpty(t, trades)
		for _, trade := range trades {
			for i := trade.EntryBar; i < trade.ExitBar; i++ {
				held[i] = trade.Size
			}
		}
		for i := w.From; i < trades[len(trades)-1].ExitBar; i++ {
			require.Equal(t, held[i], byName["held"].Values[i], "bar %d", i)
		}
	}
	require.Zero(t, byName["held"].Values[out.From])
}

// A script that does not say overlay draws below the price, but for what it forces there.
func TestLinesBelowThePriceAreThoseOfAScriptWithoutOverlay(t *testing.T) {
	t.Parallel()
	body := strings.Replace(plottedScript, "overlay=true, ", "", 1) + "plot(close, \"forced\", force_overlay = true)\n"
	lines, _ := linesOf(t, body, testBars(t), nil, backtest.Window{To: 500})
	for _, line := range lines {
		require.Equal(t, line.Name != "forced", line.Pane, line.Name)
	}
}

// What is plotted changes no trade, and a script has as many lines as are kept at most.
func TestPlotsAreBoundedAndChangeNoTrade(t *testing.T) {
	t.Parallel()
	bars, whole := testBars(t), backtest.Window{To: 1500}
	bare := plottedScript[:strings.Index(plottedScript, "changed = fast")]
	var many strings.Builder
	many.WriteString(bare)
	for i := range 100 {
		fmt.Fprintf(&many, "plot(ta.sma(close, %d))\n", i+2)
	}
	s := compiled(t, many.String())
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	trader.Prepare(values(t, s, nil))
	lines, leftOut, err := trader.(backtest.Drawer).Lines(whole)
	require.NoError(t, err)
	require.Len(t, lines, 32)
	require.Equal(t, 68, leftOut)
	require.Equal(t, "plot 32", lines[31].Name)
	plotted, equity := trader.Trace(whole)
	_, other := linesOf(t, bare, bars, nil, whole)
	without, same := other.Trace(whole)
	require.Equal(t, without, plotted)
	require.Equal(t, same, equity)
	require.Len(t, compiled(t, plottedScript).Program().Inputs(), 1, "an input that only a plot declares is a parameter")
}

// A script that takes too long over its plots is stopped, and says so.
func TestLinesAreStopped(t *testing.T) {
	t.Parallel()
	s := compiled(t, plottedScript)
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	trader.Prepare(values(t, s, nil))
	trader.OnStop(func() bool { return true })
	_, _, err = trader.(backtest.Drawer).Lines(backtest.Window{To: bars.Len()})
	require.ErrorIs(t, err, pine.ErrStopped)
}
