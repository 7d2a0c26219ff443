package sweep

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// day is the time of a bar of randomWalk.
func day(i int) time.Time { return time.UnixMicro(int64(i) * 86_400_000_000).UTC() }

// windowSpec is crossSpec on its own split by time.
func windowSpec(trainStart, trainEnd, testEnd int) Spec {
	spec := crossSpec()
	spec.OOSRatio = nil
	spec.Window = &TrainTest{day(trainStart), day(trainEnd), day(testEnd)}
	return spec
}

// changed is the bars with every price from the given bar on made another.
func changed(t *testing.T, bars *backtest.Bars, from int) *backtest.Bars {
	t.Helper()
	scale := func(values []float64) []float64 {
		out := append([]float64(nil), values...)
		for i := from; i < len(out); i++ {
			out[i] *= 1.5 + 0.4*float64(i%7)
		}
		return out
	}
	other, err := backtest.NewBars(bars.Time, scale(bars.Open), scale(bars.High), scale(bars.Low), scale(bars.Close), bars.Volume)
	require.NoError(t, err)
	return other
}

func TestWindowTradesItsBarsOnly(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1500, 5)
	p := plan(t, windowSpec(600, 1000, 1200), bars)
	is, oos := p.Windows()
	require.Equal(t, backtest.Window{From: 600, To: 1000}, is)
	require.Equal(t, backtest.Window{From: 1000, To: 1200}, oos)
	out := collect(t, p, 7)
	require.NotEmpty(t, out.Leaderboard)
	require.Equal(t, "is", out.Gates.EvaluatedOn)
	best := out.Leaderboard[0]
	require.Equal(t, 400, best.MetricsIS.Bars)
	require.Equal(t, 200, best.MetricsOOS.Bars)

	// The same as the whole history traded in those windows: means of 150 bars are warm by then.
	strategy, _ := backtest.Lookup("sma_cross")
	runner := backtest.NewTrader(bars, strategy, p.config)
	runner.Prepare(backtest.Params{best.Params["fast"], best.Params["slow"]})
	var m backtest.Metrics
	runner.Simulate(is, &m)
	require.Equal(t, m, best.MetricsIS)
	runner.Simulate(oos, &m)
	require.Equal(t, m, *best.MetricsOOS)
}

func TestWindowDoesNotLookAhead(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1500, 6)
	spec := windowSpec(600, 1000, 1200)
	p := plan(t, spec, bars)
	require.Equal(t, p.oos.To, p.bars.Len(), "no bar after the test part exists for it")
	want := collect(t, p, 7)
	require.Equal(t, want, collect(t, plan(t, spec, changed(t, bars, 1200)), 7), "bars after the test part count")

	// The test part judges and does not choose: neither by score nor by gates.
	got := collect(t, plan(t, spec, changed(t, bars, 1000)), 7)
	require.Equal(t, want.Ranking, got.Ranking)
	require.Equal(t, want.Counts, got.Counts)
	require.Equal(t, want.Regime, got.Regime)
	require.NotEqual(t, want.Leaderboard[0].ScoreOOS, got.Leaderboard[0].ScoreOOS)
	require.Equal(t, want.Leaderboard[0].MetricsIS, got.Leaderboard[0].MetricsIS)
}

func TestInvalidWindowsNameTheField(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1500, 5)
	for _, test := range []struct {
		start, train, end int
		field             string
	}{
		{600, 600, 700, "window.train_end"},
		{600, 800, 800, "window.test_end"},
		{600, 699, 800, "window.train_start"},
		{600, 800, 809, "window.test_end"},
		{2000, 2200, 2400, "window.train_start"},
	} {
		_, errs := NewPlan(windowSpec(test.start, test.train, test.end), bars, backtest.CalendarExchange)
		require.NotEmpty(t, errs)
		require.Equal(t, test.field, errs[0].Field, "%+v", test)
	}
	both := windowSpec(600, 1000, 1200)
	both.OOSRatio = new(0.3)
	require.Equal(t, "window", both.Check()[0].Field)
	late := windowSpec(600, 1000, 1200)
	late.SelectOn = SelectOutOfSample
	require.Equal(t, "select_on", late.Check()[0].Field)
}
