package sweep

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// The p-value of a sample is raised for the trials that are not in it (Šidák).
func TestTrialsThatWereNotSampledRaiseThePValue(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.SearchType, spec.NTrials, spec.Constraints, spec.OOSRatio = SearchRandom, new(3000), nil, nil
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(100.0)}, "slow": {Low: new(2.0), High: new(100.0)}}
	spec.Gates = GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(1)}
	l := collect(t, plan(t, spec, trendingBars(t, 6, 400)), 1000).Evidence.Luck
	require.Less(t, l.Sampled, l.Trials)
	require.Greater(t, l.Effective, l.Groups, "trials that were not sampled add groups")
	require.Positive(t, *l.SPA)
	require.InDelta(t, 1-math.Pow(1-*l.SPA, float64(l.Effective)/float64(l.Groups)), *l.PValue, 1e-12)
	require.Greater(t, *l.PValue, *l.SPA)
}

// A leader at twice its costs is the same parameter set in a tune that charges twice as much, by commission
// and by slippage.
func TestLeadersAtOtherCostsAreTrialsAtThoseCosts(t *testing.T) {
	t.Parallel()
	bars := trendingBars(t, 2, 2000)
	for name, charge := range map[string]func(*Spec, float64){
		"commission": func(s *Spec, times float64) {
			s.Account.Commission = new(backtest.Commission(0.001 * times))
		},
		"slippage": func(s *Spec, times float64) {
			s.Account.Commission, s.Account.Slippage = new(backtest.Commission(0)), new(0.001*times)
		},
	} {
		at := func(times float64) *Outcome {
			spec := searched(backtest.SideBoth, true)
			charge(&spec, times)
			return collect(t, plan(t, spec, bars), 100)
		}
		out := at(1)
		costs := out.Evidence.Costs
		require.InDelta(t, 100**costs.BreakEven*0.001, *costs.BreakEvenPct, 1e-12, name)
		for _, step := range costs.Leaders[0].At {
			if step.Times == 0 {
				continue
			}
			var found *Entry
			leaders := at(step.Times).Leaderboard
			for i := range leaders {
				if leaders[i].TrialIndex == *out.BestTrial {
					found = &leaders[i]
				}
			}
			require.NotNil(t, found, name)
			require.Equal(t, found.Score, *step.Score, "%s, %v times", name, step.Times)
			require.Equal(t, found.MetricsIS.ReturnPct, *step.ReturnPct, "%s, %v times", name, step.Times)
		}
	}
}

func TestABestTrialThatBearsAnyCostStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	spec := searched(backtest.SideBoth, true)
	spec.Account.Commission = new(backtest.Commission(1e-6))
	costs := collect(t, plan(t, spec, trendingBars(t, 2, 2000)), 100).Evidence.Costs
	require.Equal(t, 64.0, *costs.BreakEven)
	require.InDelta(t, 64*1e-4, *costs.BreakEvenPct, 1e-12)
}

// The power that a verdict states is the share of true edges of that size that the test finds.
func TestStatedPowerIsTheShareOfEdgesFound(t *testing.T) {
	t.Parallel()
	j := evidence.Judge(evidence.Findings{
		PValue: 0.2, DSR: 0.5, Critical: 2, Periods: 1008, PeriodsPerYear: 252, SR: 0.01, OutOfSample: math.NaN(), Statistic: 1,
		PathLoss: math.NaN(), Stability: math.NaN(), BreakEven: math.NaN(), Permuted: math.NaN(),
	})
	require.InDelta(t, 0.5, *j.Power, 1e-12, "four years, a ratio of 1 and a critical value of 2")
	require.InDelta(t, (2+0.8416212335729143)/2, *j.DetectableSharpe, 1e-9)

	const periods, series = 750, 150
	rng := rand.New(rand.NewPCG(8, 8))
	found, critical := 0, 0.0
	detectable := (1.645 + 0.8416) / math.Sqrt(periods) // per period, of a single trial
	for seed := range uint64(series) {
		returns := make([]float64, periods)
		for i := range returns {
			returns[i] = 0.01 * (detectable + rng.NormFloat64())
		}
		c, err := evidence.Compare(&evidence.Panel{Trials: []int{0}, Returns: [][]float64{returns}}, evidence.Options{Resamples: 200, Block: 2, Level: 0.05, Seed: seed})
		require.NoError(t, err)
		if critical += c.Critical / series; c.Statistic > c.Critical {
			found++
		}
	}
	require.InDelta(t, 1.645, critical, 0.1, "of one trial")
	require.InDelta(t, 0.8, float64(found)/series, 0.1)
}

// jumping are bars that stand still but for one jump, after which every cross of averages has traded alike.
func jumping(tb testing.TB, n, at int, by float64) *backtest.Bars {
	tb.Helper()
	returns := make([]float64, n)
	if at < n {
		returns[at] = by
	}
	return barsOf(tb, rand.New(rand.NewPCG(1, 1)), returns)
}

func TestTrialsThatAreAllEqualCountOnce(t *testing.T) {
	t.Parallel()
	spec := searched(backtest.SideLong, true)
	spec.OOSRatio = nil
	bars := jumping(t, 600, 300, 0.1)
	for i := 301; i < 600; i++ { // it drifts after the jump, for all that bought then
		r := 1 + 0.001*float64(i%7-2)
		bars.Open[i] *= r
		bars.High[i], bars.Low[i], bars.Close[i] = bars.Open[i]*1.002, bars.Open[i]*0.998, bars.Open[i]
	}
	spec.ParamSpace = map[string]Range{"fast": {Values: []float64{5, 6, 7}}, "slow": {Values: []float64{200, 210, 220}}}
	out := collect(t, plan(t, spec, bars), 10)
	require.Equal(t, 9, out.Counts.Completed)
	e := out.Evidence
	require.Equal(t, 9, e.Luck.Sampled)
	require.Equal(t, 1, e.Luck.Groups)
	require.Equal(t, 1, e.Luck.Effective)
	require.Equal(t, *e.Market.ExcessPSR, *e.Market.ExcessDSR, "one trial is not deflated")
}

func TestBarsWithoutVarianceHaveNoVerdict(t *testing.T) {
	t.Parallel()
	spec := searched(backtest.SideBoth, true)
	spec.Gates.MinTrades = new(0)
	require.Nil(t, collect(t, plan(t, spec, jumping(t, 800, 900, 0)), 10).Evidence, "nothing trades")
	// What trades once, in a market that then stands still, has one return and no more.
	spec.OOSRatio = nil
	out := collect(t, plan(t, spec, jumping(t, 800, 400, 0.1)), 10)
	if out.Evidence != nil {
		require.NotEqual(t, evidence.Robust, out.Evidence.Verdict)
	}
}

// Returns are those of days: twenty days of minutes are too few for any test.
func TestFewerReturnsThanBlocksHaveNoVerdict(t *testing.T) {
	t.Parallel()
	daily := trendingBars(t, 2, 2000)
	at := make([]int64, daily.Len())
	for i := range at {
		at[i] = int64(i/100)*86_400_000_000 + int64(i%100)*60_000_000
	}
	bars, err := backtest.NewBars(at, daily.Open, daily.High, daily.Low, daily.Close, daily.Volume)
	require.NoError(t, err)
	spec := searched(backtest.SideBoth, true)
	e := collect(t, plan(t, spec, bars), 100).Evidence
	require.Equal(t, evidence.Undecided, e.Verdict)
	require.Contains(t, e.Undefined["verdict"], "fewer than 20 periods")
}

// Trials that never trade have no score; those that do are judged without them.
func TestObjectivesUndefinedOnHalfOfTheTrials(t *testing.T) {
	t.Parallel()
	spec := searched(backtest.SideBoth, true)
	spec.ObjectiveType = ObjectiveProfitFactor
	spec.ParamSpace = map[string]Range{"fast": {Values: []float64{5, 10}}, "slow": {Values: []float64{20, 50, 4000, 5000}}}
	out := collect(t, plan(t, spec, trendingBars(t, 2, 2000)), 10)
	require.Equal(t, 4, out.Counts.Completed)
	require.Equal(t, 4, out.Counts.Skipped)
	require.Equal(t, 4, out.Evidence.Luck.Trials)
	require.NotNil(t, out.Evidence.Luck.PValue)
}

func TestABenchmarkOfZerosExplainsNothing(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	returns := make([]float64, 300)
	for i := range returns {
		returns[i] = 0.002 + 0.01*rng.NormFloat64()
	}
	m, excess := evidence.Regress(returns, make([]float64, 300))
	require.Zero(t, m.Beta)
	require.Equal(t, returns, excess)
	require.True(t, math.IsNaN(m.UpCapture) && math.IsNaN(m.DownCapture))
	require.InDelta(t, m.AlphaSR, m.InformationRatio, 1e-15)
}
