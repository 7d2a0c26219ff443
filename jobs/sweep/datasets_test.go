package sweep

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// threeWalks are datasets of different lengths and calendars.
func threeWalks(t testing.TB) []Series {
	return []Series{
		{Name: "a", Bars: randomWalk(t, 700, 1), Calendar: backtest.CalendarExchange},
		{Name: "b", Bars: randomWalk(t, 900, 2), Calendar: backtest.CalendarContinuous},
		{Name: "c", Bars: randomWalk(t, 1500, 3), Calendar: backtest.CalendarExchange},
	}
}

func overSpec(aggregate Aggregate) Spec {
	spec := crossSpec()
	spec.Datasets, spec.Aggregate = []string{"a", "b", "c"}, aggregate
	return spec
}

func planOver(tb testing.TB, spec Spec, data []Series) *Plan {
	tb.Helper()
	p, errs := NewPlanOver(spec, data)
	require.Empty(tb, errs)
	return p
}

func TestTrialOverDatasetsIsTheirAggregate(t *testing.T) {
	t.Parallel()
	data := threeWalks(t)
	middle := func(a, b, c float64) float64 { return a + b + c - min(a, b, c) - max(a, b, c) }
	for aggregate, of := range map[Aggregate]func(a, b, c float64) float64{
		AggregateMean:   func(a, b, c float64) float64 { return (a + b + c) / 3 },
		AggregateMedian: middle,
		AggregateWorst:  func(a, b, c float64) float64 { return min(a, b, c) },
	} {
		t.Run(string(aggregate), func(t *testing.T) {
			spec := overSpec(aggregate)
			spec.Gates = GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(0)}
			out := collect(t, planOver(t, spec, data), 7)
			require.NotEmpty(t, out.Leaderboard)
			// Each dataset alone, with the same spec.
			var alone []map[string]Entry
			for _, d := range data {
				single := spec
				single.Datasets = nil
				entries := map[string]Entry{}
				for _, e := range collect(t, planOver(t, single, []Series{d}), 7).Leaderboard {
					entries[fmt.Sprint(e.Params)] = e
				}
				alone = append(alone, entries)
			}
			for _, e := range out.Leaderboard {
				require.Len(t, e.Datasets, 3)
				var is, oos [3]float64
				var parts [3]Entry
				for i, name := range []string{"a", "b", "c"} {
					parts[i] = alone[i][fmt.Sprint(e.Params)]
					require.Equal(t, name, e.Datasets[i].Dataset)
					require.Equal(t, fmt.Sprint(parts[i].MetricsIS), fmt.Sprint(e.Datasets[i].MetricsIS)) // NaN equals NaN
					require.Equal(t, fmt.Sprint(*parts[i].MetricsOOS), fmt.Sprint(*e.Datasets[i].MetricsOOS))
					is[i], oos[i] = *parts[i].ScoreIS, *parts[i].ScoreOOS
				}
				require.InDelta(t, of(is[0], is[1], is[2]), *e.ScoreIS, 1e-12)
				require.InDelta(t, of(oos[0], oos[1], oos[2]), *e.ScoreOOS, 1e-12)
				require.InDelta(t, of(parts[0].MetricsIS.ReturnPct, parts[1].MetricsIS.ReturnPct, parts[2].MetricsIS.ReturnPct), e.MetricsIS.ReturnPct, 1e-9)
				require.Equal(t, 700-210+900-270+1500-450, e.MetricsIS.Bars)
				require.Equal(t, 700-210, e.MetricsIS.Periods, "the evidence is about the shortest")
				if aggregate == AggregateWorst {
					require.Equal(t, max(parts[0].MetricsIS.MaxDrawdownPct, parts[1].MetricsIS.MaxDrawdownPct, parts[2].MetricsIS.MaxDrawdownPct), e.MetricsIS.MaxDrawdownPct)
				}
			}
		})
	}
}

func TestTunesOverDatasetsDoNotDependOnShards(t *testing.T) {
	t.Parallel()
	data := threeWalks(t)
	for name, change := range map[string]func(*Spec){
		"grid":   func(*Spec) {},
		"pruned": func(s *Spec) { s.Pruning = &Pruning{Eta: new(2)} },
		"tpe":    func(s *Spec) { s.SearchType, s.NTrials = SearchTPE, new(25) },
	} {
		t.Run(name, func(t *testing.T) {
			spec := overSpec(AggregateMedian)
			change(&spec)
			fresh := func() *Plan { return planOver(t, spec, data) }
			want, _, _ := runRounds(t, fresh, rand.New(rand.NewPCG(1, 1)), 100)
			require.NotNil(t, want.Overfit.PBO)
			for _, most := range []int{1, 5} {
				got, _, _ := runRounds(t, fresh, rand.New(rand.NewPCG(uint64(most), 1)), most)
				require.Equal(t, asJSON(t, want), asJSON(t, got))
			}
		})
	}
}

func TestTrialWithoutTradesOnADatasetIsSkipped(t *testing.T) {
	t.Parallel()
	data := threeWalks(t)
	still := randomWalk(t, 700, 4)
	for i := range still.Close {
		still.Open[i], still.High[i], still.Low[i], still.Close[i] = 100, 100, 100, 100
	}
	data[1].Bars = still
	out := collect(t, planOver(t, overSpec(AggregateMean), data), 7)
	require.Zero(t, out.Counts.Completed)
	require.Equal(t, 32, out.Reasons["objective sharpe is undefined in sample on some dataset: no trade was made"], out.Reasons)
}

func TestInvalidDatasetsNameTheField(t *testing.T) {
	t.Parallel()
	data := threeWalks(t)
	short := append([]Series{}, data...)
	short[2].Bars = randomWalk(t, 250, 3)
	hourly := append([]Series{}, data...)
	hourly[1].Bars = hourlyWalk(t, 900)
	for want, test := range map[string]struct {
		change func(*Spec)
		data   []Series
	}{
		`datasets[2]: "a" is named twice`:           {func(s *Spec) { s.Datasets[2] = "a" }, data},
		"datasets: has 1 entries; name 2 to 50":     {func(s *Spec) { s.Datasets = s.Datasets[:1] }, data[:1]},
		`aggregate: "sum" is unknown`:               {func(s *Spec) { s.Aggregate = "sum" }, data},
		"datasets[0]: a: window.test_end leaves 5":  {func(s *Spec) { s.OOSRatio, s.Window = nil, &TrainTest{day(0), day(400), day(405)} }, data},
		"datasets[2]: c: oos_ratio leaves 175 of":   {func(*Spec) {}, short},
		"datasets[1]: b has bars of another length": {func(*Spec) {}, hourly},
		"datasets: names 3 datasets, of which 2":    {func(*Spec) {}, data[:2]},
	} {
		spec := overSpec(AggregateMean)
		test.change(&spec)
		_, errs := NewPlanOver(spec, test.data)
		var all []string
		for _, e := range errs {
			all = append(all, e.Error())
		}
		require.Condition(t, func() bool {
			for _, e := range all {
				if len(e) >= len(want) && e[:len(want)] == want {
					return true
				}
			}
			return false
		}, "%s not in %v", want, all)
	}
}

func hourlyWalk(tb testing.TB, n int) *backtest.Bars {
	daily := randomWalk(tb, n, 9)
	at := make([]int64, n)
	for i := range at {
		at[i] = int64(i) * 3_600_000_000
	}
	bars, err := backtest.NewBars(at, daily.Open, daily.High, daily.Low, daily.Close, daily.Volume)
	require.NoError(tb, err)
	return bars
}
