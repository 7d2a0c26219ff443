package report_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/report"
)

// barsOf are bars whose closes are given, every so often from a time on.
func barsOf(t require.TestingT, from time.Time, every time.Duration, closes []float64) *backtest.Bars {
	at := make([]int64, len(closes))
	for i := range at {
		at[i] = from.Add(time.Duration(i) * every).UnixMicro()
	}
	volume := make([]float64, len(closes))
	bars, err := backtest.NewBars(at, closes, closes, closes, closes, volume)
	require.NoError(t, err)
	return bars
}

func curveOf(t require.TestingT, from time.Time, every time.Duration, start float64, equity ...float64) report.Curve {
	bars := barsOf(t, from, every, equity)
	return report.Curve{Bars: bars, Window: backtest.Window{To: bars.Len()}, Calendar: backtest.CalendarExchange, Start: start, Equity: equity}
}

func TestMonthlyReturnsChainToTheYearAndTheWhole(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	equity := make([]float64, 1000)
	e := 10_000.0
	for i := range equity {
		e *= math.Exp(0.01 * rng.NormFloat64())
		equity[i] = e
	}
	c := curveOf(t, time.Date(2019, 11, 20, 0, 0, 0, 0, time.UTC), 24*time.Hour, 10_000, equity...)
	years := c.Monthly()
	require.Equal(t, 2019, years[0].Year)
	require.Equal(t, 2022, years[len(years)-1].Year)
	whole := 1.0
	for _, y := range years {
		year := 1.0
		for m, r := range y.Months {
			if y.Year == 2019 && m < 10 || y.Year == 2022 && m > 7 {
				require.True(t, math.IsNaN(r), "%d-%d has no bar", y.Year, m+1)
				continue
			}
			year *= 1 + r/100
		}
		require.InDelta(t, y.Total, 100*(year-1), 1e-9)
		whole *= year
	}
	require.InDelta(t, e/10_000, whole, 1e-12)
}

// A month is the exchange's: the last hour of May in New York is June in UTC.
func TestMonthsAreThoseOfTheInstrumentsZone(t *testing.T) {
	t.Parallel()
	c := curveOf(t, time.Date(2024, 5, 31, 22, 0, 0, 0, time.UTC), time.Hour, 100, 100, 101, 102, 110, 121, 121, 121, 121)
	utc := c.Monthly()[0]
	require.InDelta(t, 1, utc.Months[4], 1e-9)
	var err error
	c.Bars, err = c.Bars.As(backtest.Instrument{TimeZone: "America/New_York"})
	require.NoError(t, err)
	york := c.Monthly()[0]
	require.InDelta(t, 21, york.Months[4], 1e-9)
	require.InDelta(t, 0, york.Months[5], 1e-9)
}

func TestDrawdownsHaveTheirDates(t *testing.T) {
	t.Parallel()
	day := func(n int) int64 { return time.Date(2024, 1, 1+n, 0, 0, 0, 0, time.UTC).UnixMicro() }
	//                                                                      0   1    2   3   4    5    6   7   8    9
	c := curveOf(t, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), 24*time.Hour, 100, 75, 110, 99, 55, 110, 120, 90, 60, 100, 119)
	require.Equal(t, []report.Drawdown{
		{DepthPct: 50, Peak: day(1), Trough: day(3), Recovered: day(4), Bars: 2, BarsToTrough: 2, BarsToRecovery: 1},
		{DepthPct: 50, Peak: day(5), Trough: day(7), Bars: 4, BarsToTrough: 2},
		{DepthPct: 25, Peak: day(0), Trough: day(0), Recovered: day(1), Bars: 1, BarsToTrough: 1, BarsToRecovery: 1},
	}, c.Drawdowns(10))
	require.Len(t, c.Drawdowns(1), 1)
	require.Empty(t, curveOf(t, time.Now(), 24*time.Hour, 100, 100, 101, 102).Drawdowns(5), "equity that never falls has none")
}

// longestBelow is how many bars in a row are below an earlier peak at most: max_drawdown_bars of metrics, which
// the plain metrics of package backtest's tests count the same.
func longestBelow(equity []float64, start float64) (longest int) {
	peak, run := start, 0
	for _, e := range equity {
		if run++; e >= peak {
			peak, run = e, 0
		}
		longest = max(longest, run)
	}
	return longest
}

// The deepest drawdown is that of the metrics, and no bar is deeper.
func TestTheDeepestDrawdownIsTheMetrics(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		equity := rapid.SliceOfN(rapid.Float64Range(1, 1000), 2, 60).Draw(t, "equity")
		c := curveOf(t, time.Unix(0, 0), 24*time.Hour, 500, equity...)
		deepest, peak := 0.0, 500.0
		for _, e := range equity {
			peak = max(peak, e)
			deepest = max(deepest, 100*(1-e/peak))
		}
		got := 0.0
		if all := c.Drawdowns(1); len(all) > 0 {
			got = all[0].DepthPct
		}
		require.InDelta(t, deepest, got, 1e-9)
		low := 0.0
		for _, v := range c.Underwater() {
			low = min(low, v)
		}
		require.InDelta(t, -deepest, low, 1e-9)
		longest := 0
		for _, d := range c.Drawdowns(len(equity)) {
			longest = max(longest, d.Bars)
		}
		require.Equal(t, longestBelow(equity, 500), longest, "the longest drawdown is the one that metrics report")
	})
}

// Over all returns at once the rolling ratio is that of the metrics, of daily and of intraday bars.
func TestTheRollingSharpeOverAllReturnsIsTheMetrics(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{24 * time.Hour, time.Hour} {
		rng := rand.New(rand.NewPCG(2, 2))
		closes := make([]float64, 3000)
		price := 100.0
		for i := range closes {
			price *= math.Exp(0.01 * rng.NormFloat64())
			closes[i] = price
		}
		bars := barsOf(t, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), every, closes)
		strategy, _ := backtest.Lookup("sma_cross")
		cfg := backtest.Config{Side: backtest.SideBoth, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Seed: 1, Calendar: backtest.CalendarExchange}
		trader := backtest.NewTrader(bars, strategy, cfg)
		trader.Prepare(backtest.Params{5, 20})
		w := backtest.Window{From: 100, To: 2900}
		var m backtest.Metrics
		trader.Simulate(w, &m)
		_, equity := trader.Trace(w)
		c := report.Curve{Bars: bars, Window: w, Calendar: cfg.Calendar, Start: cfg.Account.Cash, Equity: equity}
		rolling := c.RollingSharpe(m.Periods)
		require.Len(t, rolling, 1)
		require.Equal(t, bars.Time[w.To-1], rolling[0].Time)
		require.InDelta(t, m.Sharpe, rolling[0].Value, 1e-9)
		require.Len(t, c.RollingSharpe(20), m.Periods-19)
		held := c.BuyAndHold().Equity
		require.InDelta(t, m.BuyHoldPct, 100*(held[len(held)-1]/c.Start-1), 1e-9)
	}
}

// The second part continues from where the first ends, without a step.
func TestJoinedPartsContinue(t *testing.T) {
	t.Parallel()
	bars := barsOf(t, time.Unix(0, 0), 24*time.Hour, []float64{1, 2, 3, 4})
	a := report.Curve{Bars: bars, Window: backtest.Window{To: 2}, Start: 100, Equity: []float64{110, 120}}
	b := report.Curve{Bars: bars, Window: backtest.Window{From: 2, To: 4}, Start: 100, Equity: []float64{100, 150}}
	joined := report.Join(a, b)
	require.Equal(t, backtest.Window{To: 4}, joined.Window)
	require.Equal(t, []float64{110, 120, 120, 180}, joined.Equity)
	require.Equal(t, b, report.Join(report.Curve{}, b))
	require.Equal(t, []float64{110, 120}, a.Equity)
}
