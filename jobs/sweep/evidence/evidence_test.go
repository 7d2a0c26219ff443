package evidence

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// noise makes a panel of independent normal returns.
func noise(seed uint64, trials, periods int) *Panel {
	rng := rand.New(rand.NewPCG(seed, 7))
	p := &Panel{}
	for i := range trials {
		row := make([]float64, periods)
		for t := range row {
			row[t] = 0.01 * rng.NormFloat64()
		}
		p.Trials, p.Returns = append(p.Trials, i), append(p.Returns, row)
	}
	return p
}

func (p *Panel) with(rows ...[]float64) *Panel {
	out := &Panel{Trials: append([]int{}, p.Trials...), Returns: append([][]float64{}, p.Returns...)}
	for _, row := range rows {
		out.Trials, out.Returns = append(out.Trials, len(out.Trials)), append(out.Returns, row)
	}
	return out
}

func scaled(row []float64, by, plus float64) []float64 {
	out := make([]float64, len(row))
	for t, r := range row {
		out[t] = by*r + plus
	}
	return out
}

func TestRegressionTakesExposureOut(t *testing.T) {
	t.Parallel()
	p := noise(1, 2, 4000)
	market := scaled(p.Returns[0], 1, 0.002)
	own := make([]float64, len(market))
	for i := range own {
		own[i] = 0.6*market[i] + 0.1*p.Returns[1][i]
	}
	m, excess := Regress(own, market)
	require.InDelta(t, 0.6, m.Beta, 0.01)
	require.InDelta(t, 0, m.Alpha, 5e-5)
	require.Greater(t, Describe(own).SR(), 0.15, "the drift alone looks like skill")
	require.InDelta(t, 0, Describe(excess).SR(), 0.05)

	m, excess = Regress(own, make([]float64, len(own)))
	require.Zero(t, m.Beta, "a benchmark of zeros explains nothing")
	require.Equal(t, own, excess)
	require.True(t, math.IsNaN(m.UpCapture))
}

func TestDuplicatesMirrorsAndOrderLeaveTheGroups(t *testing.T) {
	t.Parallel()
	base := noise(2, 12, 600)
	for i := 0; i < 12; i += 3 { // groups of three that are alike
		for t := range base.Returns[i] {
			base.Returns[i+1][t] = base.Returns[i][t] + 0.3*base.Returns[i+1][t]
			base.Returns[i+2][t] = base.Returns[i][t] + 0.3*base.Returns[i+2][t]
		}
	}
	want := Cluster(base, 0)
	require.Len(t, want.Of, 4)
	require.Equal(t, 4, want.Trials(12))

	twice := base
	for _, row := range base.Returns {
		twice = twice.with(scaled(row, 1, 0))
	}
	mirrored := base
	for _, row := range base.Returns {
		mirrored = mirrored.with(scaled(row, -1, 0))
	}
	reversed := &Panel{}
	for i := range base.Returns {
		reversed.Trials = append(reversed.Trials, i)
		reversed.Returns = append(reversed.Returns, base.Returns[11-i])
	}
	for name, c := range map[string]struct {
		panel *Panel
		best  int
	}{"twice": {twice, 0}, "mirrored": {mirrored, 0}, "reversed": {reversed, 11}, "one twice": {base.with(base.Returns[5]), 0}} {
		got := Cluster(c.panel, c.best)
		require.Len(t, got.Of, 4, name)
		require.InDelta(t, want.Variance(600), got.Variance(600), 1e-12, name)
	}
	opposite, other := base, noise(3, 12, 600)
	for i, row := range base.Returns {
		nearly := scaled(row, -1, 0)
		for t := range nearly {
			nearly[t] += 0.1 * other.Returns[i][t]
		}
		opposite = opposite.with(nearly)
	}
	require.Len(t, Cluster(opposite, 0).Of, 4, "trials that are nearly opposite are in one group")
	require.Equal(t, 100, (&Groups{Of: make([][]int, 10), Alone: 10, Sampled: 10}).Trials(100), "trials that are all different count one each")
}

func TestBestOfNoiseIsRarelySignificant(t *testing.T) {
	t.Parallel()
	const seeds = 200
	found, survivors := 0, 0
	for seed := range uint64(seeds) {
		c, err := Compare(noise(seed, 30, 300), Options{Resamples: 300, Level: 0.05, Seed: seed})
		require.NoError(t, err)
		if c.SPA <= 0.05 {
			found++
		}
		if len(c.Survivors) > 0 {
			survivors++
		}
		require.LessOrEqual(t, c.SPALower, c.SPA)
		require.LessOrEqual(t, c.SPA, c.SPAUpper)
	}
	// 5 % of 200 is 10; 18 is above it by 2.6 standard deviations.
	require.LessOrEqual(t, found, 18)
	require.LessOrEqual(t, survivors, 18)
}

func TestSurvivorsAreTheTrialsWithAnEdge(t *testing.T) {
	t.Parallel()
	p := noise(3, 40, 1000)
	for _, i := range []int{4, 17} {
		p.Returns[i] = scaled(p.Returns[i], 1, 0.002)
	}
	c, err := Compare(p, Options{Resamples: 1000, Level: 0.05, Seed: 1})
	require.NoError(t, err)
	require.ElementsMatch(t, []int{4, 17}, c.Survivors)
	require.Less(t, c.SPA, 0.01)
	require.Less(t, c.RealityCheck, 0.01)

	again, err := Compare(p, Options{Resamples: 1000, Level: 0.05, Seed: 1})
	require.NoError(t, err)
	require.Equal(t, c, again)
}

func TestPanelsThatNothingCanBeSaidOf(t *testing.T) {
	t.Parallel()
	flat := &Panel{Trials: []int{0, 1}, Returns: [][]float64{make([]float64, 100), scaled(make([]float64, 100), 1, 0.001)}}
	_, err := Compare(flat, Options{Resamples: 100, Level: 0.05})
	require.ErrorIs(t, err, ErrTooFew)
	_, err = Compare(noise(1, 3, 19), Options{Resamples: 100, Level: 0.05})
	require.ErrorIs(t, err, ErrTooFew)
	_, err = Compare(&Panel{}, Options{Resamples: 100, Level: 0.05})
	require.ErrorIs(t, err, ErrTooFew)
	_, err = CrossValidate(noise(1, 1, 500), 5)
	require.ErrorContains(t, err, "fewer than two")
	_, err = CrossValidate(noise(1, 2, 139), 5)
	require.ErrorContains(t, err, "fewer than 140")

	one, err := Compare(noise(5, 1, 200), Options{Resamples: 200, Level: 0.05})
	require.NoError(t, err)
	require.Zero(t, one.Best)
	same := noise(6, 1, 200)
	equal, err := Compare(same.with(same.Returns[0], same.Returns[0]), Options{Resamples: 200, Level: 0.05})
	require.NoError(t, err)
	require.Equal(t, one.Resamples, equal.Resamples)
	require.Len(t, Cluster(same.with(same.Returns[0]), 0).Of, 1)
	require.Equal(t, 1.0, BlockLength(make([]float64, 100)))
}

// The trial chosen on one part must not have been chosen by what is held out.
func TestHeldOutPeriodsAndTheirNeighboursDoNotChoose(t *testing.T) {
	t.Parallel()
	const n, embargo = 400, 7
	p := noise(8, 20, n)
	spans := trainingSpans(n, 3, 6, embargo)
	require.Equal(t, [][2]int{{0, 113}, {167, 233}, {287, 400}}, spans)
	before := runningSums(p, trainingBounds(p.Periods(), embargo)).choose(spans)
	for _, row := range p.Returns {
		for t := 113; t < 167; t++ {
			row[t] = 100
		}
		for t := 233; t < 287; t++ {
			row[t] = -100
		}
	}
	require.InDelta(t, 0, float64(before-runningSums(p, trainingBounds(p.Periods(), embargo)).choose(spans)), 0)
	require.Equal(t, [][2]int{{87, 400}}, trainingSpans(n, 0, 1, embargo))
	require.Equal(t, [][2]int{{0, 313}}, trainingSpans(n, 8, 9, embargo))
}

func TestPathsSeparateSkillFromLuck(t *testing.T) {
	t.Parallel()
	skill := noise(9, 20, 1000)
	skill.Returns[11] = scaled(skill.Returns[11], 1, 0.002)
	paths, err := CrossValidate(skill, 5)
	require.NoError(t, err)
	require.Zero(t, paths.Loss)
	require.Greater(t, paths.Worst, 0.1)

	var median float64
	for seed := range uint64(30) {
		paths, err := CrossValidate(noise(100+seed, 20, 400), 5)
		require.NoError(t, err)
		median += paths.Median / 30
	}
	require.InDelta(t, 0, median, 0.02)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	good := Findings{
		PValue: 0.01, DSR: 0.99, Statistic: 4, Critical: 2.5, Periods: 2000, PeriodsPerYear: 252, SR: 0.1,
		OutOfSample: 0.09, OutPeriods: 800, PathLoss: 0, Stability: 0.9, BreakEven: 5, Permuted: math.NaN(),
	}
	require.Equal(t, Robust, Judge(good).Verdict)
	nan := math.NaN()
	for name, c := range map[string]struct {
		change func(*Findings)
		want   Verdict
	}{
		"loses out of sample":              {func(f *Findings) { f.OutOfSample = -0.01 }, Fragile},
		"falls by more than chance":        {func(f *Findings) { f.SR, f.OutOfSample = 0.3, 0.01 }, Fragile},
		"falls, and is still significant":  {func(f *Findings) { f.SR, f.OutOfSample = 0.3, 0.09 }, Robust},
		"falls no more than blocks do":     {func(f *Findings) { f.SR, f.OutOfSample, f.Error = 0.15, 0.04, 1.5 }, Robust},
		"paths lose":                       {func(f *Findings) { f.PathLoss = 0.4 }, Fragile},
		"spike":                            {func(f *Findings) { f.Stability = 0.1 }, Fragile},
		"costs":                            {func(f *Findings) { f.BreakEven = 1.5 }, Fragile},
		"chance explains it, few bars":     {func(f *Findings) { f.PValue, f.DSR, f.Periods = 0.2, 0.9, 500 }, Undecided},
		"chance explains it, many bars":    {func(f *Findings) { f.PValue, f.DSR, f.Periods = 0.2, 0.9, 10_000 }, Luck},
		"chance explains it well":          {func(f *Findings) { f.PValue, f.DSR = 0.7, 0.5 }, Luck},
		"deflated ratio low":               {func(f *Findings) { f.DSR = 0.8 }, Undecided},
		"deflated ratio undefined":         {func(f *Findings) { f.DSR = nan }, Undecided},
		"no split, no costs, no neighbour": {func(f *Findings) { f.OutOfSample, f.OutPeriods, f.BreakEven, f.Stability = nan, 0, nan, nan }, Robust},
	} {
		f := good
		c.change(&f)
		j := Judge(f)
		require.Equal(t, c.want, j.Verdict, name)
		require.NotEmpty(t, j.Because, name)
	}
	j := Judge(good)
	require.InDelta(t, NormalCDF(math.Sqrt(2000.0/252)-2.5), *j.Power, 1e-12)
	require.InDelta(t, (2.5+0.8416)/math.Sqrt(2000.0/252), *j.DetectableSharpe, 1e-3)
}
