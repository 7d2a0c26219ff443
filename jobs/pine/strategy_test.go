package pine_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/pine"
)

const crossScript = `//@version=6
strategy("Crossing means", initial_capital=50000, default_qty_type=strategy.percent_of_equity, default_qty_value=50, commission_type=strategy.commission.percent, commission_value=0.1)
fastLength = input.int(10, "Fast Length", minval=1, maxval=100)
slowLength = input.int(30, "Slow Length", minval=2)
src = input.source(close, "Source")
useFilter = input.bool(false, "Use filter")
kind = input.string("SMA", "Kind", options=["SMA", "EMA"])
note = input.string("text", "Note")
fast = kind == "SMA" ? ta.sma(src, fastLength) : ta.ema(src, fastLength)
slow = ta.sma(src, slowLength)
if ta.crossover(fast, slow) and (not useFilter or close > open)
    strategy.entry("L", strategy.long, comment="up")
if ta.crossunder(fast, slow)
    strategy.close("L")
plot(fast)
`

func compiled(t testing.TB, source string) *pine.Strategy {
	t.Helper()
	program, diags := pine.Compile(source)
	require.NotNil(t, program, "%v", diags)
	return pine.NewStrategy("pine:test@1", program)
}

func scriptConfig(s *pine.Strategy) backtest.Config {
	return backtest.Config{Side: backtest.SideBoth, Account: s.Account(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange}
}

func testBars(t testing.TB) *backtest.Bars {
	t.Helper()
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	return bars.Slice(0, 1500)
}

func values(t *testing.T, s *pine.Strategy, named map[string]float64) backtest.Params {
	t.Helper()
	params, faults := backtest.CheckParams(s, named)
	require.Empty(t, faults)
	return params
}

func TestScriptInputsAreParameters(t *testing.T) {
	t.Parallel()
	s := compiled(t, crossScript)
	var names []string
	kinds := map[string]backtest.ParamKind{}
	for _, spec := range s.Params() {
		names = append(names, spec.Name)
		kinds[spec.Name] = spec.Kind
	}
	require.Equal(t, []string{"Fast Length", "Slow Length", "Source", "Use filter", "Kind"}, names, "a text without options is fixed")
	require.Equal(t, map[string]backtest.ParamKind{
		"Fast Length": backtest.KindInt, "Slow Length": backtest.KindInt, "Source": backtest.KindEnum,
		"Use filter": backtest.KindBool, "Kind": backtest.KindEnum,
	}, kinds)
	_, faults := backtest.CheckParams(s, map[string]float64{"Fast Length": 101, "Kind": 2, "Use filter": 0.5})
	require.Len(t, faults, 3, "above maxval, not an option, not a truth value")
	space := s.Space()
	require.Equal(t, pine.Axis{Low: 2, High: 40, Step: 1}, space["Fast Length"])
	require.Equal(t, []string{"SMA", "EMA"}, space["Kind"].Labels)
	require.InDelta(t, 0.001, float64(s.Account().Commission), 1e-12)
	require.InDelta(t, 50_000, s.Account().Cash, 0)
}

// The metrics are those of the equity at each close, and the equity is the capital with the closed
// and the open profit.
func TestScriptMetricsFollowEquityAndTrades(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, crossScript), testBars(t)
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	trader.Prepare(values(t, s, map[string]float64{"Fast Length": 5}))
	w := backtest.Window{From: 300, To: 1400}
	var m backtest.Metrics
	trader.Simulate(w, &m)
	require.NoError(t, trader.Err())
	returns := append([]float64(nil), trader.Returns()...)
	trades, equity := trader.Trace(w)
	require.Len(t, equity, w.Len())
	require.Greater(t, len(trades), 5)
	require.Equal(t, len(trades), m.Trades)
	require.Equal(t, equity[len(equity)-1], m.FinalEquity)
	require.GreaterOrEqual(t, trades[0].EntryBar, w.From, "a trade before the window")
	require.Equal(t, "up", trades[0].EntrySignal)
	last := trades[len(trades)-1]
	total := 50_000.0
	for _, trade := range trades {
		total += trade.PnL
	}
	require.InDelta(t, total, equity[last.ExitBar-w.From], 1e-6, "flat after the last trade closed")
	peak, worst := 50_000.0, 0.0
	for _, e := range equity {
		peak = max(peak, e)
		worst = max(worst, 1-e/peak)
	}
	require.InDelta(t, 100*worst, m.MaxDrawdownPct, 1e-9)
	growth := 1.0
	for _, r := range returns {
		growth *= 1 + r
	}
	require.InDelta(t, m.FinalEquity, 50_000*growth, 1e-6)
	var again backtest.Metrics
	trader.Simulate(w, &again)
	require.Equal(t, m, again, "a second run differs")
}

// What comes after a window may not change what is traded in it.
func TestScriptDoesNotSeeBarsAfterItsWindow(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, crossScript), testBars(t)
	params := values(t, s, nil)
	part := bars.Slice(0, 900)
	w := backtest.Window{From: 100, To: 900}
	whole, cut := backtest.NewTrader(bars, s, scriptConfig(s)), backtest.NewTrader(part, s, scriptConfig(s))
	whole.Prepare(params)
	cut.Prepare(params)
	a, ea := whole.Trace(w)
	b, eb := cut.Trace(w)
	require.NotEmpty(t, a)
	require.Equal(t, a, b)
	require.Equal(t, ea, eb)
}

func TestRequestAccountOverridesTheScripts(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, crossScript), testBars(t)
	run := func(change func(*backtest.Config)) ([]backtest.Trade, []float64) {
		cfg := scriptConfig(s)
		change(&cfg)
		require.Empty(t, backtest.CheckScripted(s, cfg))
		trader := backtest.NewTrader(bars, s, cfg)
		trader.Prepare(values(t, s, nil))
		trades, equity := trader.Trace(backtest.Window{To: bars.Len()})
		require.NoError(t, trader.Err())
		return trades, equity
	}
	own, _ := run(func(*backtest.Config) {})
	free, _ := run(func(c *backtest.Config) { c.Account.Commission, c.Override.Commission = 0, true })
	require.Greater(t, free[0].PnL, own[0].PnL, "no commission")
	rich, equity := run(func(c *backtest.Config) { c.Account.Cash, c.Override.Cash = 100_000, true })
	require.InDelta(t, 2, rich[0].Size/own[0].Size, 1e-3, "twice the capital, half of it each trade")
	require.Equal(t, 100_000.0, equity[0])
	units, _ := run(func(c *backtest.Config) { c.Account.Size, c.Override.Size = 7, true })
	require.Equal(t, 7.0, units[0].Size)
	whole, _ := run(func(c *backtest.Config) { c.Account.WholeUnits, c.Override.WholeUnits = true, true })
	require.Equal(t, math.Trunc(whole[0].Size), whole[0].Size)
	shorts, _ := run(func(c *backtest.Config) { c.Side = backtest.SideShort })
	require.Empty(t, shorts, "the script enters long only")
	cfg := scriptConfig(s)
	cfg.Override.Slippage, cfg.Account.Slippage = true, 0.001
	cfg.Stops = &backtest.Stops{StopPct: 1}
	require.Len(t, backtest.CheckScripted(s, cfg), 2)
}

func TestFailingScriptNamesItsLine(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, `//@version=6
strategy("Fails")
n = input.int(10, "n", minval=0)
if n == 0
    runtime.error("n is zero")
if bar_index % 20 == 0
    strategy.entry("L", strategy.long)
if bar_index % 20 == 10
    strategy.close("L")
`), testBars(t)
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	var m backtest.Metrics
	trader.Prepare(backtest.Params{0})
	trader.Simulate(backtest.Window{To: 500}, &m)
	require.ErrorContains(t, trader.Err(), "line 5")
	trader.Prepare(backtest.Params{10})
	trader.Simulate(backtest.Window{To: 500}, &m)
	require.NoError(t, trader.Err(), "the trader is not usable after a failure")
	require.Greater(t, m.Trades, 10)
}

func TestRunStopsWhenAsked(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, `//@version=6
strategy("Slow")
n = input.int(1000, "n")
x = 0.0
for i = 1 to n
    x += close * i
if x > 0
    strategy.entry("L", strategy.long)
`), testBars(t)
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	asked := 0
	trader.OnStop(func() bool { asked++; return true })
	var m backtest.Metrics
	trader.Prepare(backtest.Params{1000})
	trader.Simulate(backtest.Window{To: bars.Len()}, &m)
	require.ErrorIs(t, trader.Err(), pine.ErrStopped)
	require.Equal(t, 1, asked)
}

func TestRuinedScriptTradesNoMore(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, `//@version=5
strategy("Ruin", initial_capital=1000, default_qty_value=1000000)
if bar_index == 5
    strategy.entry("S", strategy.short)
`), testBars(t)
	trader := backtest.NewTrader(bars, s, scriptConfig(s))
	var m backtest.Metrics
	trader.Prepare(nil)
	trader.Simulate(backtest.Window{To: bars.Len()}, &m)
	require.NoError(t, trader.Err())
	_, equity := trader.Trace(backtest.Window{To: bars.Len()})
	require.Less(t, m.FinalEquity, 0.0)
	require.Equal(t, equity[len(equity)-2], m.FinalEquity, "the equity of a ruined account changes")
	require.Equal(t, equity[len(equity)-1], m.FinalEquity)
	require.False(t, math.IsNaN(m.MaxDrawdownPct))
	require.GreaterOrEqual(t, m.MaxDrawdownPct, 100.0)
}

func TestTickIsReadFromThePrices(t *testing.T) {
	t.Parallel()
	for price, tick := range map[float64]float64{100: 0.01, 1.23456: 1e-5, 0.1: 0.01, 1842.37: 0.01, 0.00001234: 1e-8, 1.0 / 3: 1e-8} {
		column := []float64{price, price}
		bars, err := backtest.NewBars([]int64{0, 86_400_000_000}, column, column, column, column, []float64{0, 0})
		require.NoError(t, err)
		require.InEpsilon(t, tick, backtest.TickOf(bars), 1e-9, "%v", price)
	}
}

// Runs that share columns, and windows that begin later, trade as a run alone does.
func TestTradersOfOneCacheShareColumnsAndAgree(t *testing.T) {
	t.Parallel()
	s, bars := compiled(t, crossScript), testBars(t)
	cache := backtest.NewIndicatorCache(bars)
	shared := []backtest.Trader{s.Trader(cache, scriptConfig(s)), s.Trader(cache, scriptConfig(s))}
	w := backtest.Window{From: 200, To: bars.Len()}
	for fast := 3.0; fast < 12; fast++ {
		params := values(t, s, map[string]float64{"Fast Length": fast, "Kind": float64(int(fast) % 2)})
		alone := backtest.NewTrader(bars, s, scriptConfig(s))
		alone.Prepare(params)
		trades, equity := alone.Trace(w)
		for _, trader := range shared {
			trader.Prepare(params)
			again, curve := trader.Trace(w)
			require.NoError(t, trader.Err())
			require.Equal(t, trades, again)
			require.Equal(t, equity, curve)
		}
	}
}
