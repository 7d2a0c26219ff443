package backtest_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
)

// BenchmarkEngine times one trial of each strategy on one core: signals, fills and every metric,
// over 100,000 synthetic bars at the strategy's default parameters, long and short, with indicator
// arrays that an earlier trial left in the cache. The account trades fractions at 2 basis points, so
// that it lives to the last bar; "trades" and "exposure-%" say how busy it was. Bars are a day, so
// each ends a period of the moments; opening ranges need several a day and have 5-minute bars.
// "ns/bar" is the mean; "best-ns/bar" is that of the fastest trial, which a busy machine disturbs less.
func BenchmarkEngine(b *testing.B) {
	b.Log("one trial of each strategy with all metrics over 100,000 synthetic daily bars (orb: 5-minute bars), long and short, indicator arrays cached; one core")
	for _, strategy := range backtest.Strategies() {
		b.Run(strategy.Name(), func(b *testing.B) { benchmarkTrial(b, strategy, nil) })
	}
}

// BenchmarkStops is BenchmarkEngine's sma_cross with a stop, a target and a trailing stop in force.
func BenchmarkStops(b *testing.B) {
	b.Log("sma_cross as in BenchmarkEngine, with stops in force")
	strategy, _ := backtest.Lookup("sma_cross")
	b.Run("fixed", func(b *testing.B) { benchmarkTrial(b, strategy, &backtest.Stops{StopPct: 5, TargetPct: 10}) })
	b.Run("trailing_atr", func(b *testing.B) { benchmarkTrial(b, strategy, &backtest.Stops{TrailATR: 4}) })
}

func benchmarkTrial(b *testing.B, strategy backtest.Strategy, stops *backtest.Stops) {
	bars := benchmarkBars(b, strategy, 100_000)
	p, errs := backtest.CheckParams(strategy, nil)
	require.Empty(b, errs)
	cfg := benchmarkConfig()
	cfg.Stops = stops
	r := backtest.NewTrader(bars, strategy, cfg)
	var m backtest.Metrics
	r.Prepare(p)
	r.Simulate(backtest.Window{To: bars.Len()}, &m)
	b.ReportAllocs()
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		r.Prepare(p)
		r.Simulate(backtest.Window{To: bars.Len()}, &m)
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best.Nanoseconds())/float64(bars.Len()), "best-ns/bar")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bars.Len()), "ns/bar")
	b.ReportMetric(float64(m.Trades), "trades")
	b.ReportMetric(m.ExposurePct, "exposure-%")
}

// BenchmarkTogether is BenchmarkEngine with as many trials side by side as a sweep runs: the strategy's default
// parameters, and integers one to seven more; and sma_cross with stops. Both figures are of one trial.
func BenchmarkTogether(b *testing.B) {
	b.Log("eight trials of each strategy side by side, as in BenchmarkEngine over 10,000 bars; figures are of one trial")
	for _, strategy := range backtest.Strategies() {
		b.Run(strategy.Name(), func(b *testing.B) { benchmarkTogether(b, strategy, nil) })
	}
	strategy, _ := backtest.Lookup("sma_cross")
	b.Run("stops", func(b *testing.B) { benchmarkTogether(b, strategy, &backtest.Stops{StopPct: 5, TargetPct: 10}) })
	b.Run("trailing_stop", func(b *testing.B) { benchmarkTogether(b, strategy, &backtest.Stops{TrailATR: 4}) })
}

func benchmarkTogether(b *testing.B, strategy backtest.Strategy, stops *backtest.Stops) {
	bars, cfg := benchmarkBars(b, strategy, 10_000), benchmarkConfig()
	cfg.Stops = stops
	cache := backtest.NewIndicatorCache(bars)
	var runners [backtest.Lanes]*backtest.Runner
	var params [backtest.Lanes]backtest.Params
	var metrics [backtest.Lanes]*backtest.Metrics
	for i := range runners {
		runners[i], metrics[i] = strategy.Trader(cache, cfg).(*backtest.Runner), new(backtest.Metrics)
		for _, spec := range strategy.Params() {
			value := spec.Default
			if spec.Kind == backtest.KindInt {
				value += float64(i)
			}
			params[i] = append(params[i], value)
		}
	}
	run := func() {
		for i, r := range runners {
			r.Prepare(params[i])
		}
		backtest.SimulateTogether(runners[:], backtest.Window{To: bars.Len()}, metrics[:])
	}
	run()
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	trialBars := float64(backtest.Lanes * bars.Len())
	b.ReportMetric(float64(best.Nanoseconds())/trialBars, "best-ns/bar")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/trialBars, "ns/bar")
	b.ReportMetric(float64(metrics[0].Trades), "trades")
}

func benchmarkBars(b *testing.B, strategy backtest.Strategy, bars int) *backtest.Bars {
	b.Helper()
	interval := 24 * time.Hour
	if strategy.Name() == "orb" {
		interval = 5 * time.Minute
	}
	made, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: bars, Interval: interval})
	require.NoError(b, err)
	return made
}

func benchmarkConfig() backtest.Config {
	cfg := defaults(backtest.SideBoth)
	cfg.Account.Size, cfg.Account.Commission, cfg.Account.WholeUnits = 0.1, 0.0002, false
	return cfg
}
