package knowledge_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// market generates returns of a kind; scale varies its volatility from series to series.
type market struct {
	name    string
	returns func(n int, scale float64, rng *rand.Rand) []float64
}

// autoregressive returns continue with a positive share and are taken back with a negative one.
func autoregressive(share float64) func(int, float64, *rand.Rand) []float64 {
	return func(n int, scale float64, rng *rand.Rand) []float64 {
		r, last := make([]float64, n), 0.0
		for i := range r {
			last = share*last + 0.01*scale*rng.NormFloat64()
			r[i] = last
		}
		return r
	}
}

func walk(drift, deviation float64) func(int, float64, *rand.Rand) []float64 {
	return func(n int, scale float64, rng *rand.Rand) []float64 {
		r := make([]float64, n)
		for i := range r {
			r[i] = drift + deviation*scale*rng.NormFloat64()
		}
		return r
	}
}

func trends(n int, scale float64, rng *rand.Rand) []float64 {
	r, sign := make([]float64, n), 1.0
	for i := range r {
		if rng.Float64() < 1.0/80 {
			sign = -sign
		}
		r[i] = sign*0.003*scale + 0.01*scale*rng.NormFloat64()
	}
	return r
}

func reverting(n int, scale float64, rng *rand.Rand) []float64 {
	r, level := make([]float64, n), 0.0
	for i := range r {
		next := 0.93*level + 0.012*scale*rng.NormFloat64()
		r[i], level = next-level, next
	}
	return r
}

func clustered(n int, scale float64, rng *rand.Rand) []float64 {
	r, heat := make([]float64, n), 1.0
	for i := range r {
		z := rng.NormFloat64()
		r[i] = 0.01 * scale * math.Sqrt(heat) * z
		heat = 0.03 + 0.12*min(z*z*heat, 40) + 0.85*heat
	}
	return r
}

func jumping(n int, scale float64, rng *rand.Rand) []float64 {
	r := make([]float64, n)
	for i := range r {
		r[i] = 0.007 * scale * rng.NormFloat64()
		if rng.Float64() < 0.02 {
			r[i] += 0.05 * scale * rng.NormFloat64()
		}
	}
	return r
}

func waves(n int, scale float64, rng *rand.Rand) []float64 {
	r, phase := make([]float64, n), 6*rng.Float64()
	for i := range r {
		r[i] = 0.004*scale*math.Sin(2*math.Pi*float64(i)/60+phase) + 0.009*scale*rng.NormFloat64()
	}
	return r
}

// markets are the kinds of series that figures of similarity and regret are of.
func markets() []market {
	return []market{
		{"trends", trends}, {"reverting", reverting}, {"waves", waves},
		{"momentum", autoregressive(0.25)}, {"taken back", autoregressive(-0.25)},
		{"walk", walk(0, 0.01)}, {"wild walk", walk(0, 0.035)}, {"calm rise", walk(0.0005, 0.006)}, {"fall", walk(-0.0008, 0.018)},
		{"clustered", clustered}, {"jumps", jumping},
	}
}

// series makes daily bars of a market. Its volatility differs from that of its kind by a sixth, mostly.
func (m market) series(tb testing.TB, n int, seed uint64) *backtest.Bars {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	returns := m.returns(n, math.Exp(0.15*rng.NormFloat64()), rng)
	at := make([]int64, n)
	columns := make([][]float64, 5)
	for i := range columns {
		columns[i] = make([]float64, n)
	}
	price := 100.0
	for i, r := range returns {
		first := price
		price *= math.Exp(r)
		spread := 0.5 * math.Abs(r)
		at[i] = int64(i) * 86_400_000_000
		columns[0][i], columns[3][i], columns[4][i] = first, price, 1000
		columns[1][i] = max(first, price) * math.Exp(spread*math.Abs(rng.NormFloat64()))
		columns[2][i] = min(first, price) * math.Exp(-spread*math.Abs(rng.NormFloat64()))
	}
	bars, err := backtest.NewBars(at, columns[0], columns[1], columns[2], columns[3], columns[4])
	require.NoError(tb, err)
	return bars
}
