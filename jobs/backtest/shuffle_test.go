package backtest_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// What permuted bars keep of each part, and that they keep nothing of its order.
func TestPermutedBarsKeepDriftGapsAndShapes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	bars := weekdays(t, rng, 900)
	parts := []backtest.Window{{From: 0, To: 600}, {From: 600, To: 900}}
	got := bars.Permuted(parts, rng.IntN)

	require.Equal(t, bars.Time, got.Time)
	_, err := backtest.NewBars(got.Time, got.Open, got.High, got.Low, got.Close, got.Volume)
	require.NoError(t, err)
	require.Equal(t, bars.Open[0], got.Open[0])
	for _, w := range parts {
		require.InEpsilon(t, bars.Close[w.To-1], got.Close[w.To-1], 1e-9, "the drift of each part")
		for name, of := range map[string]func(b *backtest.Bars, i int) float64{
			"high":   func(b *backtest.Bars, i int) float64 { return b.High[i] / b.Open[i] },
			"low":    func(b *backtest.Bars, i int) float64 { return b.Low[i] / b.Open[i] },
			"close":  func(b *backtest.Bars, i int) float64 { return b.Close[i] / b.Open[i] },
			"volume": func(b *backtest.Bars, i int) float64 { return b.Volume[i] },
		} {
			requireSameValues(t, bars, got, w, of, name)
		}
		pause := func(b *backtest.Bars, i int) bool { return b.Time[i]-b.Time[i-1] > microsPerDay }
		for _, paused := range []bool{true, false} {
			requireSameValues(t, bars, got, backtest.Window{From: w.From + 1, To: w.To}, func(b *backtest.Bars, i int) float64 {
				if pause(b, i) != paused {
					return 1
				}
				return b.Open[i] / b.Close[i-1]
			}, "gaps after a pause take each other's places only")
		}
		require.NotEqual(t, bars.Close[w.From:w.To], got.Close[w.From:w.To])
	}
	require.Less(t, math.Abs(autocorrelation(t, got, bars)), 0.15, "order is lost")
}

const microsPerDay = 86_400_000_000

// weekdays are daily bars with gaps between them, longer ones over a weekend.
func weekdays(t *testing.T, rng *rand.Rand, n int) *backtest.Bars {
	t.Helper()
	var at []int64
	var columns [5][]float64
	price := 100.0
	for i := range n {
		gap := 0.001
		if i%5 == 0 {
			gap = 0.02
		}
		open := price * (1 + gap*rng.NormFloat64())
		price = open * (1 + 0.01*rng.NormFloat64())
		at = append(at, int64(i/5*7+i%5)*microsPerDay)
		for k, v := range []float64{open, max(open, price) * (1 + 0.01*rng.Float64()), min(open, price) * (1 - 0.01*rng.Float64()), price, 1000 * rng.Float64()} {
			columns[k] = append(columns[k], v)
		}
	}
	bars, err := backtest.NewBars(at, columns[0], columns[1], columns[2], columns[3], columns[4])
	require.NoError(t, err)
	return bars
}

func requireSameValues(t *testing.T, a, b *backtest.Bars, w backtest.Window, of func(b *backtest.Bars, i int) float64, name string) {
	t.Helper()
	var before, after []float64
	for i := w.From; i < w.To; i++ {
		before, after = append(before, of(a, i)), append(after, of(b, i))
	}
	slices.Sort(before)
	slices.Sort(after)
	require.InDeltaSlice(t, before, after, 1e-9, name)
}

// autocorrelation is that of the bars' returns with those of the bars that they were made of, place by place.
func autocorrelation(t *testing.T, a, b *backtest.Bars) float64 {
	t.Helper()
	var ab, aa, bb float64
	for i := range a.Len() {
		x, y := a.Close[i]/a.Open[i]-1, b.Close[i]/b.Open[i]-1
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}
