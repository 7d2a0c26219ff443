package sweep

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

func TestPermutationIsABijection(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 5000).Draw(t, "n")
		p := newPermutation(n, rapid.Uint64().Draw(t, "seed"))
		seen := make([]bool, n)
		for i := range n {
			at := p.at(i)
			require.Less(t, at, n)
			require.False(t, seen[at])
			seen[at] = true
		}
	})
}

func TestPermutationShuffles(t *testing.T) {
	t.Parallel()
	p, q := newPermutation(1<<40+3, 1), newPermutation(1<<40+3, 2)
	inOrder, same, last := 0, 0, uint64(0)
	for i := range uint64(10_000) {
		at := p.at(i)
		if at > last {
			inOrder++
		}
		if at == q.at(i) {
			same++
		}
		last = at
	}
	require.InDelta(t, 5000, inOrder, 300, "neighbours rise as often as they sink")
	require.Zero(t, same, "another seed is another order")
}

func TestAxisValues(t *testing.T) {
	t.Parallel()
	number := backtest.ParamSpec{Name: "x", Kind: backtest.KindFloat, Max: 1e9}
	whole := backtest.ParamSpec{Name: "n", Kind: backtest.KindInt, Max: 1e9}
	for name, test := range map[string]struct {
		spec backtest.ParamSpec
		in   Range
		want []float64
	}{
		"steps are decimal":    {number, Range{Low: new(0.1), High: new(0.7), Step: new(0.2)}, []float64{0.1, 0.3, 0.5, 0.7}},
		"the last may be less": {number, Range{Low: new(1.0), High: new(2.0), Step: new(0.3)}, []float64{1, 1.3, 1.6, 1.9}},
		"whole numbers":        {whole, Range{Low: new(3.0), High: new(6.0)}, []float64{3, 4, 5, 6}},
		"typed whole":          {number, Range{Low: new(3.0), High: new(5.0), Type: "int"}, []float64{3, 4, 5}},
		"one":                  {whole, Range{Low: new(3.0), High: new(3.0)}, []float64{3}},
		"lists are sorted":     {whole, Range{Values: []float64{9, 3}}, []float64{3, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAxis(test.spec, test.in)
			var got []float64
			for k := range a.count {
				got = append(got, a.at(k))
				require.Equal(t, int(k), a.position(a.at(k)))
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestDrawsStayInsideAndCoverTheRange(t *testing.T) {
	t.Parallel()
	low, high := 2.0, 1000.0
	kinds := map[string]axis{
		"continuous":  {low: low, high: high},
		"log":         {low: low, high: high, log: true},
		"log whole":   {low: low, high: high, log: true, step: 1, count: 999},
		"stepped":     {low: low, high: high, step: 2, count: 500},
		"list":        {values: []float64{2, 30, 1000}, count: 3},
		"single log":  {low: 2, high: 2, log: true},
		"single wide": {low: 2, high: 2},
	}
	for name, a := range kinds {
		t.Run(name, func(t *testing.T) {
			below := 0
			for i := range uint64(10_000) {
				value := a.draw(uniform(draw64(7, i, 0)))
				require.GreaterOrEqual(t, value, low)
				require.LessOrEqual(t, value, high)
				if value < 45 { // near the geometric mean
					below++
				}
				unit := a.unit(value)
				require.GreaterOrEqual(t, unit, 0.0)
				require.LessOrEqual(t, unit, 1.0)
			}
			if a.log && a.low != a.high {
				require.InDelta(t, 5000, below, 300)
			}
		})
	}
}

// gridOf is a spec over the donchian parameters the test does not care about otherwise.
func gridOf(fast, slow []float64, constraints []string) Spec {
	return Spec{
		StrategyName: "sma_cross", Constraints: constraints,
		ParamSpace: map[string]Range{"fast": {Values: fast}, "slow": {Values: slow}},
	}
}

func TestGridRunsInOrderAndWhole(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 300, 1)
	p := plan(t, gridOf([]float64{5, 10}, []float64{8, 20, 30}, nil), bars)
	want := []backtest.Params{{5, 8}, {5, 20}, {5, 30}, {10, 8}, {10, 20}, {10, 30}}
	require.Equal(t, want, allParams(p))

	p = plan(t, gridOf([]float64{5, 10}, []float64{8, 20, 30}, []string{"fast < slow"}), bars)
	require.Equal(t, slices.Delete(want, 3, 4), allParams(p))

	spec := gridOf([]float64{5, 10}, []float64{8, 20, 30}, []string{"fast < slow"})
	spec.NTrials = new(500)
	q := plan(t, spec, bars)
	require.Equal(t, allParams(p), allParams(q), "n_trials above the size changes nothing")
	require.Contains(t, fmt.Sprint(q.Warnings()), "all of them were run")
}

func TestSearchSamplesWithoutReplacement(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 300, 1)
	span := func(low, high float64) Range { return Range{Low: &low, High: &high} }
	for _, search := range []Search{SearchGrid, SearchRandom} {
		spec := Spec{
			StrategyName: "macd_cross", SearchType: search, NTrials: new(5000), Seed: new(uint64(3)),
			ParamSpace:  map[string]Range{"fast": span(2, 200), "slow": span(3, 300), "signal": span(2, 60)},
			Constraints: []string{"fast < slow"},
		}
		p := plan(t, spec, bars)
		require.Equal(t, 5000, p.Trials())
		all := allParams(p)
		unique := map[string]bool{}
		high := 0
		for _, params := range all {
			unique[fmt.Sprint(params)] = true
			if params[1] > 150 {
				high++
			}
		}
		require.Len(t, unique, 5000)
		require.Greater(t, high, 2500, "a prefix of the grid would not reach the high end")

		spec.Seed = new(uint64(4))
		require.NotEqual(t, all, allParams(plan(t, spec, bars)))
	}
}

func TestDrawsDependOnSeedAndIndexOnly(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 300, 1)
	spec := Spec{
		StrategyName: "bb_reversal", SearchType: SearchRandom, NTrials: new(300), Seed: new(uint64(9)),
		ParamSpace: map[string]Range{"period": {Low: new(5.0), High: new(200.0), Log: true}},
	}
	for _, name := range spec.ParamNames() {
		if name != "period" {
			spec.ParamSpace[name] = Range{Low: new(1.0), High: new(3.0)}
		}
	}
	long := allParams(plan(t, spec, bars))
	spec.NTrials = new(100)
	require.Equal(t, long[:100], allParams(plan(t, spec, bars)))
}

func TestConstraintsThatAdmitTooFewPoints(t *testing.T) {
	t.Parallel()
	_, errs := Size(gridOf([]float64{5, 10}, []float64{3, 4}, []string{"fast < slow"}))
	require.Equal(t, "constraints", errs[0].Field)
	require.Contains(t, errs[0].Message, "none of the 4 points")

	span := func(low, high float64) Range { return Range{Low: &low, High: &high} }
	spec := Spec{
		StrategyName: "macd_cross", NTrials: new(50_000),
		ParamSpace:  map[string]Range{"fast": span(2, 400), "slow": span(3, 900), "signal": span(2, 200)},
		Constraints: []string{"fast + slow == 402"},
	}
	_, errs = Size(spec)
	require.Len(t, errs, 1)
	require.Contains(t, errs[0].Message, "leave only")
}

func TestShardsAgreeOnEveryTrial(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 300, 1)
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{
			StrategyName: "sma_cross", Seed: new(rapid.Uint64().Draw(t, "seed")),
			SearchType: rapid.SampledFrom([]Search{SearchGrid, SearchRandom}).Draw(t, "search"),
			ParamSpace: map[string]Range{
				"fast": {Low: new(2.0), High: new(60.0)},
				"slow": {Low: new(2.0), High: new(120.0), Log: rapid.Bool().Draw(t, "log")},
			},
			NTrials: new(rapid.IntRange(1, 4000).Draw(t, "n")),
		}
		if spec.SearchType == SearchGrid {
			spec.ParamSpace["slow"] = Range{Low: new(2.0), High: new(120.0)}
		}
		if rapid.Bool().Draw(t, "constrained") {
			spec.Constraints = []string{"fast < slow"}
		}
		p, errs := NewPlan(spec, bars, backtest.CalendarExchange)
		require.Empty(t, errs)
		want := allParams(p)
		require.Len(t, want, p.Trials())
		next := 0
		for i, sh := range p.Shards(rapid.IntRange(1, 3000).Draw(t, "size")) {
			require.Equal(t, i, sh.Index)
			require.Equal(t, next, sh.First)
			for trial, params := range p.Params(sh) {
				require.Equal(t, next, trial)
				require.Equal(t, want[trial], params)
				next++
			}
		}
		require.Equal(t, p.Trials(), next)
	})
}

func TestHugeSpacesAreEnumeratedLazily(t *testing.T) {
	spec := Spec{
		StrategyName: "macd_cross", NTrials: new(1000),
		ParamSpace: map[string]Range{
			"fast": {Low: new(2.0), High: new(400.0)}, "slow": {Low: new(3.0), High: new(900.0)}, "signal": {Low: new(2.0), High: new(200.0)},
		},
	}
	require.Empty(t, spec.Check())
	allocated := testing.AllocsPerRun(1, func() {
		n, errs := Size(spec)
		require.Empty(t, errs)
		require.Equal(t, 1000, n)
	})
	require.Less(t, allocated, 1000.0)
}

func TestPlanCountsBars(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	for _, test := range []struct {
		bars    int
		ratio   *float64
		field   string
		message string
	}{
		{199, nil, "dataset", "199 bars"},
		{280, new(0.3), "oos_ratio", "leaves 196 of 280 bars in sample"},
		{300, new(0.3), "oos_ratio", "leaves 90 of 300 bars out of sample"},
	} {
		spec.OOSRatio = test.ratio
		_, errs := NewPlan(spec, randomWalk(t, test.bars, 1), backtest.CalendarExchange)
		require.NotEmpty(t, errs)
		last := errs[len(errs)-1]
		if test.bars == 280 {
			last = errs[0]
		}
		require.Equal(t, test.field, last.Field)
		require.Contains(t, last.Message, test.message)
	}
	spec.OOSRatio = new(0.29)
	is, oos := plan(t, spec, randomWalk(t, 400, 1)).Windows()
	require.Equal(t, backtest.Window{From: 0, To: 284}, is)
	require.Equal(t, backtest.Window{From: 284, To: 400}, oos, "half-open and adjacent")
}
