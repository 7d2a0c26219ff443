package backtest

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// rough are prices of every kind that rolling sums lose digits on: jumps of ten orders of
// magnitude, long spells of one price, hairline moves on a high level.
func rough(t *rapid.T) []float64 {
	n := rapid.IntRange(1, 400).Draw(t, "n")
	values := make([]float64, n)
	price := 100.0
	for i := range values {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			price = math.Pow(10, rapid.Float64Range(-4, 6).Draw(t, "level"))
		case 1, 2:
			price *= 1 + 1e-9*rapid.Float64Range(-1, 1).Draw(t, "hair")
		case 3, 4, 5:
			price *= 1 + 0.05*rapid.Float64Range(-1, 1).Draw(t, "move")
		}
		values[i] = price
	}
	return values
}

func TestRollingIndicatorsEqualEachWindowComputedAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rough(t)
		period := rapid.IntRange(1, 60).Draw(t, "period")
		n := len(values)
		mean, dev, highest, lowest := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		rollingMean(values, period, mean)
		rollingDeviation(values, mean, period, dev)
		rollingMax(values, period, 1, highest)
		rollingMax(values, period, -1, lowest)
		for i := range values {
			if i < period-1 {
				for _, out := range [][]float64{mean, dev, highest, lowest} {
					require.True(t, math.IsNaN(out[i]))
				}
				continue
			}
			window := values[i-period+1 : i+1]
			sum := new(big.Float).SetPrec(300)
			high, low := math.Inf(-1), math.Inf(1)
			for _, v := range window {
				sum.Add(sum, big.NewFloat(v))
				high, low = max(high, v), min(low, v)
			}
			exact, _ := sum.Float64()
			require.Equal(t, exact/float64(period), mean[i], "mean %d", i)
			require.Equal(t, high, highest[i], "highest %d", i)
			require.Equal(t, low, lowest[i], "lowest %d", i)
			// Beside the digits asked for, a deviation owes what rounding leaves of the mean.
			exactDev := exactDeviation(window)
			require.InDelta(t, exactDev, dev[i], 1e-10*exactDev+3e-16*high, "deviation %d", i)
		}
	})
}

// exactDeviation is rounded only at its end.
func exactDeviation(window []float64) float64 {
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(v) }
	mean, squares, n := number(0), number(0), number(float64(len(window)))
	for _, v := range window {
		mean.Add(mean, number(v))
	}
	mean.Quo(mean, n)
	for _, v := range window {
		d := number(v)
		d.Sub(d, mean)
		squares.Add(squares, d.Mul(d, d))
	}
	variance, _ := squares.Quo(squares, n).Float64()
	return math.Sqrt(variance)
}

func TestRunnersOfOneCacheShareItsArrays(t *testing.T) {
	t.Parallel()
	bars := &Bars{Time: make([]int64, 300), Close: make([]float64, 300)}
	for i := range bars.Close {
		bars.Close[i] = float64(i%17 + 1)
	}
	c := NewIndicatorCache(bars)
	c.limit = 2
	one, two := Indicators{cache: c}, Indicators{cache: c}
	a := one.SMA(5)
	require.Same(t, &a[0], &two.SMA(5)[0])
	one.release()
	// An array in use is never taken over, however small the cache.
	for period := 6; period < 40; period++ {
		two.SMA(period)
		require.Equal(t, (bars.Close[4]+bars.Close[3]+bars.Close[2]+bars.Close[1]+bars.Close[0])/5, a[4])
	}
	two.release()
	count := len(c.all)
	for period := 40; period < 200; period++ {
		two.SMA(period)
		two.release()
	}
	require.Len(t, c.all, count, "an idle array is taken over")
	require.Len(t, c.byKey, count)
}

func TestCacheDropsAnArrayWhoseFillPanics(t *testing.T) {
	t.Parallel()
	c := NewIndicatorCache(&Bars{Time: make([]int64, 3), Close: []float64{1, 2, 3}})
	ind := Indicators{cache: c}
	key := indicatorKey{kind: "broken"}
	started, waiting := make(chan struct{}), make(chan []float64)
	go func() {
		<-started
		other := Indicators{cache: c}
		waiting <- other.cached(key, func(out []float64) { out[0] = 7 })
	}()
	require.Panics(t, func() {
		ind.cached(key, func([]float64) {
			close(started)
			panic("broken")
		})
	})
	require.Equal(t, 7.0, (<-waiting)[0], "the waiting runner fills its own array")
}
