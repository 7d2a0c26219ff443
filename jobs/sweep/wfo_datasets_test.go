package sweep

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// bars picks some bars of a history.
func picked(tb testing.TB, all *backtest.Bars, keep func(i int) bool) *backtest.Bars {
	tb.Helper()
	var at []int64
	var columns [5][]float64
	for i := range all.Len() {
		if keep(i) {
			at = append(at, all.Time[i])
			for k, from := range [5][]float64{all.Open, all.High, all.Low, all.Close, all.Volume} {
				columns[k] = append(columns[k], from[i])
			}
		}
	}
	bars, err := backtest.NewBars(at, columns[0], columns[1], columns[2], columns[3], columns[4])
	require.NoError(tb, err)
	return bars
}

// weekdays drops the Saturdays and Sundays of a history of one bar a day from the epoch, a Thursday.
func weekdays(tb testing.TB, all *backtest.Bars) *backtest.Bars {
	return picked(tb, all, func(i int) bool { return i%7 != 2 && i%7 != 3 })
}

func walkSpec(names ...string) Spec {
	spec := crossSpec()
	spec.OOSRatio, spec.Datasets = nil, names
	return spec
}

func TestFoldsOfSeveralDatasetsLieInTheTimeTheyHaveInCommon(t *testing.T) {
	t.Parallel()
	all := randomWalk(t, 1000, 1)
	data := []Series{
		{Name: "long", Bars: all},
		{Name: "late", Bars: picked(t, all, func(i int) bool { return i >= 200 })},
		{Name: "weekdays", Bars: picked(t, weekdays(t, randomWalk(t, 1000, 2)), func(i int) bool { return i < 680 })},
	}
	folds, warnings, errs := wfoConfig(300, 100, 100).FoldsOver(data)
	require.Empty(t, errs)
	require.Len(t, folds, 4)
	last := data[2].Bars.Time[data[2].Bars.Len()-1] / 86_400_000_000
	for i, fold := range folds {
		require.Equal(t, TrainTest{day(200 + 100*i), day(500 + 100*i), day(600 + 100*i)}, fold.TrainTest)
		require.LessOrEqual(t, fold.TestEnd, day(int(last)+1))
		require.Equal(t, []FoldBars{{300, 100}, {300, 100}}, fold.Sets[:2])
		require.Equal(t, FoldBars{fold.TrainBars, fold.TestBars}, fold.Sets[2], "the fewest are shown")
		require.InDelta(t, 300*5/7, fold.TrainBars, 2)
		require.Empty(t, fold.Problem)
	}
	require.Len(t, warnings, 3, "every dataset has bars that no fold uses")
	require.Contains(t, warnings[0], "long has 248 of 1000 bars outside of 1970-07-20 to 1972-08-09")
	require.Contains(t, warnings[1], "late has 48 of 800 bars outside of")

	// A fold that one dataset cannot take part in cannot be run, and says which.
	gap := picked(t, all, func(i int) bool { return i < 400 || i >= 520 })
	short := wfoConfig(200, 100, 100)
	short.AllowPartial = new(true)
	folds, warnings, errs = short.FoldsOver([]Series{{Name: "long", Bars: all}, {Name: "gappy", Bars: gap}})
	require.Empty(t, errs)
	require.Contains(t, folds[2].Problem, "its test window from 1971-02-05 to 1971-05-16 has 0 bars of gappy; at least 10")
	require.Contains(t, strings.Join(warnings, "\n"), "fold 2 cannot be run")
}

func TestWalkForwardsOverDatasetsThatDoNotFitNameTheDataset(t *testing.T) {
	t.Parallel()
	all := randomWalk(t, 1000, 1)
	long := Series{Name: "long", Bars: all}
	for want, test := range map[string]struct {
		other  *backtest.Bars
		config WFOConfig
	}{
		"datasets: have no time in common: late begins on 1981-08-06, long ends before 1972-09-27": {
			shifted(t, all, 4235), wfoConfig(300, 100, 100)},
		"datasets[1]: late has bars of another length than long": {hourlyWalk(t, 900), wfoConfig(300, 100, 100)},
		"wfo_config.train_days: train_days 300, test_days 100 and step_days 100 fit 1 folds into the 400 days from 1971-08-24 to 1972-09-27 " +
			"that all datasets have in common (late begins last, long ends first), fewer than min_folds 3": {
			picked(t, all, func(i int) bool { return i >= 600 }), wfoConfig(300, 100, 100)},
		"wfo_config.test_days: 1 of 7 folds cannot be run: fold 2, its test window from 1971-05-16 to 1971-08-24 has 0 bars of late": {
			picked(t, all, func(i int) bool { return i < 490 || i >= 610 }), wfoConfig(300, 100, 100)},
	} {
		_, _, errs := test.config.FoldsOver([]Series{long, {Name: "late", Bars: test.other}})
		require.NotEmpty(t, errs, want)
		require.Contains(t, errs[0].Error(), want)
	}
	spec := walkSpec("long", "long")
	require.Contains(t, wfoConfig(300, 100, 100).Check(spec)[0].Error(), `"long" is named twice`)
}

// shifted is a history so many days later.
func shifted(tb testing.TB, all *backtest.Bars, days int) *backtest.Bars {
	tb.Helper()
	at := make([]int64, all.Len())
	for i := range at {
		at[i] = all.Time[i] + int64(days)*86_400_000_000
	}
	bars, err := backtest.NewBars(at, all.Open, all.High, all.Low, all.Close, all.Volume)
	require.NoError(tb, err)
	return bars
}

// The same bars under two names are one dataset: every figure that is not a count is that of one.
func TestAWalkForwardOverEqualDatasetsIsThatOfOne(t *testing.T) {
	t.Parallel()
	one := Series{Bars: randomWalk(t, 1200, 8), Calendar: backtest.CalendarContinuous}
	cfg := wfoConfig(300, 150, 150)
	alone, _, err := RunWholeWFO(t.Context(), walkSpec(), cfg, []Series{one}, 2)
	require.NoError(t, err)
	a, b := one, one
	a.Name, b.Name = "a", "b"
	both, _, err := RunWholeWFO(t.Context(), walkSpec("a", "b"), cfg, []Series{a, b}, 2)
	require.NoError(t, err)
	require.Equal(t, alone.BestParams, both.BestParams)
	require.Equal(t, len(alone.Ranked), len(both.Ranked))
	for i := range alone.Ranked {
		require.InDelta(t, alone.Ranked[i].SelectionScore, both.Ranked[i].SelectionScore, 1e-12)
	}
	require.InDelta(t, alone.OOS.ReturnPct, both.OOS.ReturnPct, 1e-9)
	require.InDelta(t, alone.OOS.MaxDrawdownPct, both.OOS.MaxDrawdownPct, 1e-9)
	require.InDelta(t, *alone.OOS.Sharpe, *both.OOS.Sharpe, 1e-9)
	require.Equal(t, 2*alone.OOS.Trades, both.OOS.Trades)
	require.Equal(t, alone.Evidence.Verdict, both.Evidence.Verdict)
	require.InDelta(t, *alone.Evidence.Luck.PValue, *both.Evidence.Luck.PValue, 0.005)
	require.Equal(t, alone.Evidence.Starts[3].From, both.Evidence.Starts[3].From)
	for k, walk := range both.ByDataset {
		require.Equal(t, []string{"a", "b"}[k], walk.Dataset)
		require.Equal(t, alone.OOS, walk.OOS)
		require.Equal(t, alone.Curve, both.Curve.Of(k))
		require.Equal(t, len(both.Folds), walk.Chosen)
	}
	require.NotContains(t, strings.Join(both.Warnings, ""), "do not trade on the same days")
}

// What happens together is computed here day by day from the curves of the datasets.
func TestDatasetsThatTradeOnOtherDaysAreJoinedByDay(t *testing.T) {
	t.Parallel()
	data := []Series{
		{Name: "daily", Bars: randomWalk(t, 1200, 8), Calendar: backtest.CalendarContinuous},
		{Name: "weekdays", Bars: weekdays(t, randomWalk(t, 1300, 9)), Calendar: backtest.CalendarExchange},
	}
	out, _, err := RunWholeWFO(t.Context(), walkSpec("daily", "weekdays"), wfoConfig(300, 150, 150), data, 2)
	require.NoError(t, err)
	require.Len(t, out.Folds, 6)
	value := [2]map[time.Time]float64{{}, {}}
	for k := range data {
		curve := out.Curve.Of(k)
		for i, bar := range curve.Bars {
			value[k][dayOf(data[k].Bars.Time[bar])] = curve.Equity[i]
		}
	}
	equity, before, n := 10_000.0, [2]float64{10_000, 10_000}, 0
	for at := day(300); at.Before(day(1200)); at = at.Add(oneDay) {
		change := 0.0
		for k := range data {
			if now, traded := value[k][at]; traded {
				change += (now/before[k] - 1) / 2
				before[k] = now
			}
		}
		equity *= 1 + change
		require.Equal(t, at, dayOf(out.Curve.At[n]))
		require.InEpsilon(t, equity, out.Curve.Together[n], 1e-9)
		n++
	}
	require.Len(t, out.Curve.Together, n)
	require.InDelta(t, 100*(equity/10_000-1), out.OOS.ReturnPct, 1e-7)
	require.Contains(t, strings.Join(out.Warnings, "\n"), "the datasets do not trade on the same days")
	require.Contains(t, strings.Join(out.Warnings, "\n"), "annualised by 365.2 observed days a year")
	require.Len(t, out.Folds[0].Datasets, 2, "what a fold chose is shown on each dataset")

	swapped := []Series{data[1], data[0]}
	turned, _, err := RunWholeWFO(t.Context(), walkSpec("weekdays", "daily"), wfoConfig(300, 150, 150), swapped, 2)
	require.NoError(t, err)
	require.InDelta(t, out.OOS.ReturnPct, turned.OOS.ReturnPct, 1e-9, "the order of the datasets does not matter")
	require.Equal(t, out.BestParams, turned.BestParams)
}

func TestAWalkForwardOverDatasetsFindsAnEdgeThatAllHave(t *testing.T) {
	t.Parallel()
	var edge, noise []Series
	for seed := range uint64(3) {
		name := string(rune('a' + seed))
		edge = append(edge, Series{Name: name, Bars: trendingBars(t, seed+1, 2000), Calendar: backtest.CalendarExchange})
		rng := rand.New(rand.NewPCG(seed, 31))
		noise = append(noise, Series{Name: name, Bars: barsOf(t, rng, independent(0, normal)(rng, 2000)), Calendar: backtest.CalendarExchange})
	}
	spec := searched(backtest.SideBoth, true)
	spec.OOSRatio, spec.Datasets = nil, []string{"a", "b", "c"}
	out, _, err := RunWholeWFO(t.Context(), spec, wfoConfig(500, 200, 200), edge, 2)
	require.NoError(t, err)
	require.Equal(t, evidence.Robust, out.Evidence.Verdict, "%+v", out.Evidence.Checks)
	for _, walk := range out.ByDataset {
		require.Positive(t, walk.OOS.ReturnPct)
		require.Greater(t, walk.Earned, walk.Chosen/2)
	}
	out, _, err = RunWholeWFO(t.Context(), spec, wfoConfig(500, 200, 200), noise, 2)
	require.NoError(t, err)
	require.NotEqual(t, evidence.Robust, out.Evidence.Verdict)
}
