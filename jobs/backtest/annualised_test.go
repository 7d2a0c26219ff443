package backtest_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// every is each n-th weekday from the first Monday of 2010 on.
func every(n, count int) (at []time.Time) {
	day := time.Date(2010, 1, 4, 0, 0, 0, 0, time.UTC)
	for i := 0; len(at) < count; i++ {
		if i%n == 0 {
			at = append(at, day)
		}
		if day = day.AddDate(0, 0, 1); day.Weekday() == time.Saturday {
			day = day.AddDate(0, 0, 2)
		}
	}
	return at
}

// dated is count dates, each so many months and days after the one before.
func dated(from time.Time, months, days, count int) (at []time.Time) {
	for i := range count {
		at = append(at, from.AddDate(0, i*months, i*days))
	}
	return at
}

// lengths are the times of bars of each length that figures were computed for, see testdata/README.md.
func lengths(t *testing.T) map[string][]time.Time {
	t.Helper()
	york, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	var forex, stocks []time.Time
	for week := range 120 { // from Sunday 17:00 to Friday 16:00
		for hour := 17; hour <= 5*24+16; hour++ {
			forex = append(forex, time.Date(2018, 1, 7+7*week, hour, 0, 0, 0, york))
		}
	}
	for day := time.Date(2018, 1, 2, 9, 30, 0, 0, york); len(stocks) < 400*13; day = day.AddDate(0, 0, 1) {
		for k := 0; k < 13 && day.Weekday() != time.Saturday && day.Weekday() != time.Sunday; k++ {
			stocks = append(stocks, day.Add(time.Duration(k)*30*time.Minute))
		}
	}
	var crypto []time.Time
	for hour := range 24 * 500 {
		crypto = append(crypto, time.Date(2019, 1, 1, hour, 0, 0, 0, time.UTC))
	}
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	monday := time.Date(2005, 1, 3, 0, 0, 0, 0, time.UTC)
	return map[string][]time.Time{
		"1d": every(1, 1000), "2d": every(2, 700), "3d": every(3, 600), "4d": every(4, 500), "1w": dated(monday, 0, 7, 500), "2w": dated(monday, 0, 14, 300),
		"1mo": dated(year(1995), 1, 0, 240), "3mo": dated(year(1980), 3, 0, 120), "1y": dated(year(1960), 12, 0, 50),
		"1h 24x5": forex, "1h 24x7": crypto, "30m": stocks,
	}
}

// curveOf is the equity that figures were computed for.
func curveOf(n int, scale float64) []float64 {
	x, equity, out := int64(12345), 10_000.0, make([]float64, n)
	for i := range out {
		x = (x*1103515245 + 12345) % (1 << 31)
		step := float64((float64(x)/(1<<31) - 0.495) * scale)
		equity *= 1 + step
		out[i] = equity
	}
	return out
}

// Figures of bars of every length, and of days that end by a session, are those that empyrical and quantstats compute of
// the same returns by the conventional periods a year, which are found in the times alone.
func TestFiguresEqualEmpyricalAndQuantstats(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/annualised.json")
	require.NoError(t, err)
	var cases []struct {
		Timeframe      string             `json:"timeframe"`
		Bars           int                `json:"bars"`
		First          time.Time          `json:"first"`
		Last           time.Time          `json:"last"`
		PeriodsPerYear float64            `json:"periods_per_year"`
		Returns        int                `json:"returns"`
		FinalEquity    float64            `json:"final_equity"`
		Empyrical      map[string]float64 `json:"empyrical"`
		Quantstats     map[string]float64 `json:"quantstats"`
	}
	require.NoError(t, json.Unmarshal(file, &cases))
	all := lengths(t)
	require.Len(t, cases, len(all))
	for _, c := range cases {
		t.Run(c.Timeframe, func(t *testing.T) {
			times := all[c.Timeframe]
			require.Len(t, times, c.Bars)
			at, flat := make([]int64, len(times)), make([]float64, len(times))
			for i := range times {
				at[i], flat[i] = times[i].UnixMicro(), 1
			}
			require.True(t, c.First.Equal(times[0]) && c.Last.Equal(times[len(times)-1]), "%v to %v", times[0], times[len(times)-1])
			bars, err := backtest.NewBars(at, flat, flat, flat, flat, flat)
			require.NoError(t, err)
			in, calendar, _ := bars.Describe(backtest.Instrument{}, 0)
			require.Equal(t, c.PeriodsPerYear, in.PeriodsPerYear)
			bars, err = bars.As(in)
			require.NoError(t, err)
			scale := 0.03
			if times[1].Sub(times[0]) < 20*time.Hour {
				scale = 0.004
			}
			equity := curveOf(len(times), scale)
			require.InEpsilon(t, c.FinalEquity, equity[len(equity)-1], 1e-12)

			var measure backtest.Measure
			var m backtest.Metrics
			measure.Begin(bars, backtest.Window{To: bars.Len()}, 10_000)
			measure.Equity(equity)
			measure.Finish(equity[len(equity)-1], bars.Len(), calendar, &m)
			require.Equal(t, c.Returns, m.Periods)
			for name, got := range map[string]float64{
				"sharpe": m.Sharpe, "sortino": m.Sortino, "max_drawdown": -m.MaxDrawdownPct / 100, "cagr": m.CAGRPct / 100, "calmar": m.Calmar,
			} {
				require.InEpsilon(t, c.Empyrical[name], got, 1e-9, "%s of empyrical", name)
				if other, ok := c.Quantstats[name]; ok {
					require.InEpsilon(t, other, got, 1e-9, "%s of quantstats", name)
				}
			}
			require.Contains(t, c.Quantstats, "sharpe")
		})
	}
}
