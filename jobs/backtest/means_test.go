package backtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Means of several periods side by side have the bits of each alone: of as many periods as lanes or fewer, longer than the
// history too, and of values whose sums are too much for a number.
func TestMeansSideBySideEqualMeansAlone(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 400 {
		values := make([]float64, 1+rng.IntN(900))
		for i := range values {
			values[i] = math.Exp(3 * rng.NormFloat64())
			if round%10 == 0 {
				values[i] *= 1e307
			}
		}
		periods, outs := make([]int, 1+rng.IntN(Lanes)), make([][]float64, Lanes)
		for k := range periods {
			periods[k], outs[k] = 1+rng.IntN(300), make([]float64, len(values))
		}
		rollingMeans(values, periods, outs)
		for k, period := range periods {
			want := make([]float64, len(values))
			rollingMean(values, period, want)
			for i := range want {
				require.Equal(t, math.Float64bits(want[i]), math.Float64bits(outs[k][i]), "mean %d of %d values over %d", i, len(values), period)
			}
		}
	}
}

// Means that are expected are in the cache, and the same that a lookup computes.
func TestMeansThatAreExpectedAreThere(t *testing.T) {
	t.Parallel()
	bars := Bars{Time: make([]int64, 700), Close: make([]float64, 700)}
	for i := range bars.Close {
		bars.Close[i] = 100 + math.Sin(float64(i))
	}
	cache := NewIndicatorCache(&bars)
	r := &Runner{bars: &bars, strategy: smaCross{}, ind: Indicators{cache: cache}}
	points := []Params{{3, 40}, {5, 40}, {5, 800}, {12, 41}, {13, 50}, {14, 51}, {15, 52}, {16, 53}}
	r.Expect(func(yield func(Params) bool) {
		for _, p := range points {
			if !yield(p) {
				return
			}
		}
	})
	if hasLanes() {
		require.Len(t, cache.byKey, 14)
	}
	for _, p := range points {
		alone := make([]float64, bars.Len())
		for _, n := range p {
			rollingMean(bars.Close, int(n), alone)
			require.Equal(t, fmt.Sprint(alone), fmt.Sprint(r.ind.SMA(int(n))))
		}
	}
	r.ind.release()
	for _, a := range cache.all {
		require.Zero(t, a.users)
	}
}
