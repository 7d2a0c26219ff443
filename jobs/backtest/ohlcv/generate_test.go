package ohlcv_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest/ohlcv"
)

func TestGenerateIsSeeded(t *testing.T) {
	t.Parallel()
	spec := ohlcv.Synthetic{Seed: 3, Bars: 500, Interval: time.Hour}
	a, err := ohlcv.Generate(spec)
	require.NoError(t, err)
	b, err := ohlcv.Generate(spec)
	require.NoError(t, err)
	require.Equal(t, a, b)
	spec.Seed++
	c, err := ohlcv.Generate(spec)
	require.NoError(t, err)
	require.NotEqual(t, ohlcv.Sum(a), ohlcv.Sum(c))
	require.Equal(t, time.Hour.Microseconds(), a.Time[1]-a.Time[0])
	require.InDelta(t, 100, a.Open[0], 5)
}

// NewBars accepts the result, and checks the invariants.
func TestGenerateMakesValidBarsForAnySpec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, err := ohlcv.Generate(ohlcv.Synthetic{
			Seed: rapid.Uint64().Draw(t, "seed"), Bars: rapid.IntRange(1, 300).Draw(t, "bars"),
			Interval: time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "µs")) * time.Microsecond,
			Price:    rapid.Float64Range(1, 1e6).Draw(t, "price"), Vol: rapid.Float64Range(0.001, 5).Draw(t, "vol"),
		})
		require.NoError(t, err)
		require.Positive(t, b.Len())
	})
}

func TestGenerateRejects(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]ohlcv.Synthetic{
		"no bars":           {},
		"too many bars":     {Bars: ohlcv.MaxRows + 1},
		"interval":          {Bars: 1, Interval: -time.Second},
		"fine interval":     {Bars: 1, Interval: 1500},
		"price":             {Bars: 1, Price: math.NaN()},
		"volatility":        {Bars: 1, Vol: -1},
		"end of the years":  {Bars: ohlcv.MaxRows, Interval: 24 * time.Hour},
		"start of no years": {Bars: 1, Start: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, err := ohlcv.Generate(spec)
		require.Error(t, err, name)
	}
}

// Returns look like a market's: volatility clusters, tails are fat, and the returns themselves
// hardly predict each other.
func TestGenerateClustersVolatility(t *testing.T) {
	t.Parallel()
	b, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 11, Bars: 50_000, Interval: time.Hour})
	require.NoError(t, err)
	returns, sizes := make([]float64, b.Len()-1), make([]float64, b.Len()-1)
	for i := range returns {
		returns[i] = math.Log(b.Close[i+1] / b.Close[i])
		sizes[i] = math.Abs(returns[i])
	}
	require.Greater(t, autocorrelation(sizes), 0.15)
	require.InDelta(t, 0, autocorrelation(returns), 0.05)
	require.Greater(t, kurtosis(returns), 4.0)
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, variance
}

func autocorrelation(x []float64) float64 {
	mean, variance := moments(x)
	sum := 0.0
	for i := range len(x) - 1 {
		sum += (x[i] - mean) * (x[i+1] - mean)
	}
	return sum / float64(len(x)-1) / variance
}

func kurtosis(x []float64) float64 {
	mean, variance := moments(x)
	sum := 0.0
	for _, v := range x {
		sum += math.Pow(v-mean, 4)
	}
	return sum / float64(len(x)) / (variance * variance)
}
