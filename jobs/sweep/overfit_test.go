package sweep

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// The example of Bailey & López de Prado 2014, section "A numerical example": an annual Sharpe ratio
// of 2.5 over five years of daily returns, skew −3, kurtosis 10, and trials whose annual ratios have
// a variance of ½.
func TestDeflatedSharpeOfThePaper(t *testing.T) {
	t.Parallel()
	sr := 2.5 / math.Sqrt(250)
	sr0 := evidence.ExpectedMaxSharpe(1.0/500, 100)
	require.InDelta(t, 0.113172, sr0, 5e-7)
	require.InDelta(t, 0.900397, evidence.ProbabilisticSharpe(sr, sr0, 1250, -3, 10), 5e-7)
	require.InDelta(t, 0.950502, evidence.ProbabilisticSharpe(sr, evidence.ExpectedMaxSharpe(1.0/500, 46), 1250, -3, 10), 5e-7)
}

func TestProbabilisticSharpe(t *testing.T) {
	t.Parallel()
	// Normal returns: √(T−1)·SR/√(1+SR²/2) standard deviations above the benchmark.
	require.InDelta(t, evidence.NormalCDF(0.1*math.Sqrt(99)/math.Sqrt(1.005)), evidence.ProbabilisticSharpe(0.1, 0, 100, 0, 3), 1e-15)
	require.Equal(t, 0.5, evidence.ProbabilisticSharpe(0.1, 0.1, 100, 0, 3))
	require.True(t, math.IsNaN(evidence.ProbabilisticSharpe(0.1, 0, 1, 0, 3)))
	require.True(t, math.IsNaN(evidence.ProbabilisticSharpe(math.NaN(), 0, 100, 0, 3)))
	require.Zero(t, evidence.ExpectedMaxSharpe(1, 1), "one trial has no luck in the choice")
	for _, p := range []float64{0.001, 0.3, 0.5, 0.99, 0.999999} {
		require.InDelta(t, p, evidence.NormalCDF(evidence.NormalQuantile(p)), 1e-12)
	}
}

// rowsOf cuts the returns of several trials into blocks.
func rowsOf(returns [][]float64) []blockRow {
	var rows []blockRow
	for trial, series := range returns {
		rows = append(rows, newBlockRow(trial, series))
	}
	return rows
}

// naivePBO is CSCV as the paper writes it: every split on its own, from the returns themselves.
func naivePBO(returns [][]float64) (pbo, loss float64) {
	ratio := func(series []float64, set int) float64 {
		var picked []float64
		for b := range pboBlocks {
			if from, to := blockBounds(len(series), b); set>>b&1 == 1 {
				picked = append(picked, series[from:to]...)
			}
		}
		var mean, variance float64
		for _, r := range picked {
			mean += r / float64(len(picked))
		}
		for _, r := range picked {
			variance += (r - mean) * (r - mean)
		}
		return mean / math.Sqrt(variance/float64(len(picked)))
	}
	splits := 0.0
	for set := range 1 << pboBlocks {
		if bits.OnesCount(uint(set)) != pboBlocks/2 {
			continue
		}
		is, oos := make([]float64, len(returns)), make([]float64, len(returns))
		for i, series := range returns {
			is[i], oos[i] = ratio(series, set), ratio(series, ^set)
		}
		best := argmax(is)
		rank := 1.0
		for _, v := range oos {
			if v < oos[best] {
				rank++
			}
		}
		omega := rank / float64(len(returns)+1)
		splits++
		if math.Log(omega/(1-omega)) <= 0 {
			pbo++
		}
		if oos[best] < 0 {
			loss++
		}
	}
	return pbo / splits, loss / splits
}

func noise(rng *rand.Rand, trials, periods int, drift func(trial int) float64) [][]float64 {
	returns := make([][]float64, trials)
	for i := range returns {
		returns[i] = make([]float64, periods)
		for k := range returns[i] {
			returns[i][k] = 0.01*rng.NormFloat64() + drift(i)
		}
	}
	return returns
}

func TestCrossValidationEqualsTheDefinition(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, edge := range []float64{0, 0.0005} {
		returns := noise(rng, 6, 150, func(trial int) float64 { return edge * float64(trial) })
		got, missing := crossValidate(rowsOf(returns))
		require.Empty(t, missing)
		pbo, loss := naivePBO(returns)
		require.Equal(t, pbo, got.pbo)
		require.Equal(t, loss, got.loss)
	}
}

func TestCrossValidationSeparatesSkillFromLuck(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	skill, _ := crossValidate(rowsOf(noise(rng, 50, 1000, func(trial int) float64 {
		if trial == 7 {
			return 0.004
		}
		return 0
	})))
	require.Less(t, skill.pbo, 0.001)
	require.Zero(t, skill.loss)

	// One realization of noise can lean either way; the mean of many is near one half.
	var pbo, slope float64
	for range 20 {
		luck, _ := crossValidate(rowsOf(noise(rng, 20, 320, func(int) float64 { return 0 })))
		pbo, slope = pbo+luck.pbo/20, slope+luck.slope/20
	}
	require.InDelta(t, 0.5, pbo, 0.15)
	require.Less(t, slope, 0.0, "what is good in one half of fixed noise is bad in the other")
}

func TestCrossValidationOfIdenticalTrials(t *testing.T) {
	t.Parallel()
	// Trials that are all the same rank in the middle: no evidence for the choice.
	series := noise(rand.New(rand.NewPCG(5, 6)), 1, 200, func(int) float64 { return 0.001 })[0]
	got, missing := crossValidate(rowsOf([][]float64{series, series, series}))
	require.Empty(t, missing)
	require.Equal(t, 1.0, got.pbo)

	_, missing = crossValidate(rowsOf([][]float64{series}))
	require.Contains(t, missing, "fewer than two")
	_, missing = crossValidate(rowsOf([][]float64{series[:63], series[:63]}))
	require.Contains(t, missing, "63 return periods")
}

func TestSampleIsBoundedAndFixed(t *testing.T) {
	t.Parallel()
	for _, trials := range []int{1, 999, 1126, 5000, 1_000_000} {
		s := newSampler(trials, pboSample)
		var rows []blockRow
		for trial := range trials {
			if s.takes(trial) {
				rows = append(rows, blockRow{trial: trial, squares: [pboBlocks]float64{1}})
			}
		}
		require.GreaterOrEqual(t, len(rows), min(trials, pboSample))
		require.Less(t, len(rows), 1300)
		cut := cutSample(rows, pboSample)
		require.Len(t, cut, min(trials, pboSample))
		for i := 1; i < len(cut); i++ {
			require.Less(t, cut[i-1].trial, cut[i].trial)
		}
	}
	require.Empty(t, cutSample([]blockRow{{trial: 3}}, pboSample), "what never traded was never a choice")
}

// On noise a tune may be called good, by a deflated Sharpe ratio above 0.95, for at most one seed in
// twenty.
func TestNoiseIsRarelyJudgedGood(t *testing.T) {
	t.Parallel()
	const seeds, trials, periods = 1000, 20, 250
	good := 0
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 99))
		ratios := make([]float64, trials)
		var best backtest.Metrics
		for i := range ratios {
			m := moments(noise(rng, 1, periods, func(int) float64 { return 0 })[0])
			if ratios[i] = m.SR; i == 0 || m.SR > best.SR {
				best = m
			}
		}
		var o Overfit
		var variance float64
		variance, o.NTrials = spread(ratios)
		o.judgeWinner(&best, variance)
		if *o.DSR > dsrLow {
			good++
		}
		require.Equal(t, trials, o.NTrials)
	}
	require.LessOrEqual(t, good, seeds/20)
}

func moments(returns []float64) backtest.Metrics {
	n := float64(len(returns))
	var mean, m2, m3, m4 float64
	for _, r := range returns {
		mean += r / n
	}
	for _, r := range returns {
		d := r - mean
		m2, m3, m4 = m2+d*d/n, m3+d*d*d/n, m4+d*d*d*d/n
	}
	return backtest.Metrics{
		Periods: len(returns), SR: mean / math.Sqrt(m2*n/(n-1)), Skew: m3 / math.Pow(m2, 1.5), Kurt: m4 / (m2 * m2),
	}
}
