package sweep

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

func permutedSpec(permutations int) Spec {
	spec := searched(backtest.SideBoth, true)
	spec.Evidence = &EvidenceSpec{Permutations: permutations}
	return spec
}

func runWhole(tb testing.TB, p *Plan, atOnce int) *Outcome {
	tb.Helper()
	out, _, err := p.RunWhole(tb.Context(), atOnce)
	require.NoError(tb, err)
	return out
}

func TestPermutationsDoNotDependOnShards(t *testing.T) {
	t.Parallel()
	bars := trendingBars(t, 3, 700)
	grid, tpe, pruned, several := permutedSpec(19), permutedSpec(19), permutedSpec(19), permutedSpec(19)
	tpe.SearchType, tpe.NTrials, tpe.TPE = SearchTPE, new(24), &TPE{Startup: new(12), Batch: new(6)}
	pruned.Pruning = &Pruning{Eta: new(2)}
	several.Datasets = []string{"a", "b"}
	for name, spec := range map[string]Spec{"grid": grid, "tpe": tpe, "pruned": pruned, "several": several} {
		data := []Series{{"a", bars, backtest.CalendarExchange}, {"b", trendingBars(t, 4, 700), backtest.CalendarExchange}}
		p, errs := NewPlanOver(spec, data[:max(1, len(spec.Datasets))])
		require.Empty(t, errs, name)
		whole := runWhole(t, p, 1)
		require.Equal(t, 19, whole.Evidence.Permutation.Permutations, name)
		require.Equal(t, asJSON(t, whole), asJSON(t, runWhole(t, p, 3)), name)

		plain := spec
		plain.Evidence = nil
		q, errs := NewPlanOver(plain, data[:max(1, len(spec.Datasets))])
		require.Empty(t, errs, name)
		without := runWhole(t, q, 1)
		require.Nil(t, without.Evidence.Permutation, name)
		require.Equal(t, without.TrialsSum, whole.TrialsSum, "permutations change nothing that the search finds")
		require.InDelta(t, 20*q.Work(), p.Work(), 1e-9, name)
	}
}

// A permutation is the search itself on other bars: its best score is that of a tune on them.
func TestAPermutationRunsTheWholeSearch(t *testing.T) {
	t.Parallel()
	p := plan(t, permutedSpec(19), trendingBars(t, 3, 700))
	result, err := p.RunShard(t.Context(), Shard{First: 4, Trials: 2, Rung: PermutedRung}, func(int) {})
	require.NoError(t, err)
	require.Len(t, result.permuted, 2)
	for i, best := range result.permuted {
		q, err := p.permuted(4 + i)
		require.NoError(t, err)
		require.Equal(t, *collect(t, plan(t, q.spec, q.history), 7).BestScore, best)
	}
	require.NotEqual(t, result.permuted[0], result.permuted[1])

	q, err := p.permuted(0)
	require.NoError(t, err)
	require.InEpsilon(t, p.history.Close[p.is.To-1], q.history.Close[p.is.To-1], 1e-9, "each part keeps its own drift")
}

func TestPermutationsFindAnEdgeAndNoneInNoise(t *testing.T) {
	t.Parallel()
	found := runWhole(t, plan(t, permutedSpec(99), trendingBars(t, 1, 2000)), 1).Evidence
	require.Equal(t, 0.01, found.Permutation.PValue)
	require.Equal(t, evidence.Robust, found.Verdict)

	// Over many walks the p-value is even: 5 % of them are at most 0.05.
	small, sum := 0, 0.0
	const walks = 24
	for seed := range uint64(walks) {
		spec := permutedSpec(19)
		spec.Gates.MinTrades = new(0)
		out := runWhole(t, plan(t, spec, randomWalk(t, 500, 100+seed)), 1)
		p := out.Evidence.Permutation.PValue
		require.Equal(t, float64(1+out.Evidence.Permutation.AsGood)/20, p)
		if sum += p; p <= 0.05 {
			small++
		}
	}
	require.LessOrEqual(t, small, 5)
	require.InDelta(t, 0.5, sum/walks, 0.2)
}

func TestPermutationsTakeARobustVerdictAway(t *testing.T) {
	t.Parallel()
	f := evidence.Findings{
		PValue: 0.01, DSR: 0.99, Permuted: 0.2, PathLoss: math.NaN(), Stability: math.NaN(), BreakEven: math.NaN(),
		SR: 0.1, OutOfSample: math.NaN(), Periods: 1000, PeriodsPerYear: 252, Statistic: 4, Critical: 2,
	}
	j := evidence.Judge(f)
	require.Equal(t, evidence.Fragile, j.Verdict)
	require.Contains(t, j.Because, "in random order")
	f.Permuted = 0.05
	require.Equal(t, evidence.Robust, evidence.Judge(f).Verdict)
}

func TestASearchWhereNothingPassesRunsNoPermutations(t *testing.T) {
	t.Parallel()
	spec := permutedSpec(19)
	spec.Gates.MinTrades = new(100_000)
	p := plan(t, spec, randomWalk(t, 600, 1))
	require.Nil(t, runWhole(t, p, 1).Evidence)
	shards := p.Shards(100)
	results := runAll(t, p, shards)
	batch, err := p.Next(1, shards, func(shard int) ([]byte, error) { return results[shard].columns, nil })
	require.NoError(t, err)
	require.Empty(t, batch.Cut(1, func(int) int { return 10 }))
}

func TestPermutationsThatCannotBeRun(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 1)
	refused := func(field, message string, change func(*Spec), data ...Series) {
		t.Helper()
		spec := permutedSpec(19)
		change(&spec)
		if data == nil {
			data = []Series{{"a", bars, backtest.CalendarExchange}}
		}
		_, errs := NewPlanOver(spec, data)
		require.Len(t, errs, 1)
		require.Equal(t, field, errs[0].Field)
		require.Contains(t, errs[0].Message, message)
	}
	const field = "evidence.permutations"
	refused(field, "from 19 to 1000", func(s *Spec) { s.Evidence.Permutations = 18 })
	refused(field, "from 19 to 1000", func(s *Spec) { s.Evidence.Permutations = -1 })
	refused(field, "from 19 to 1000", func(s *Spec) { s.Evidence.Permutations = 1001 })
	refused(field, "intrabar_dataset", func(s *Spec) { s.IntrabarDataset = "fine" })
	many := func(s *Spec) {
		s.SearchType, s.NTrials = SearchRandom, new(100_001)
		s.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(900.0)}, "slow": {Low: new(2.0), High: new(900.0)}}
		s.Constraints, s.Evidence.Permutations = nil, 200
	}
	refused(field, "more than 20000000", many)
	refused(field, "too many to run once more in one piece", func(s *Spec) { many(s); s.NTrials, s.Evidence.Permutations = new(500_000), 20 },
		Series{"a", randomWalk(t, 2001, 1), backtest.CalendarExchange})
	refused("datasets", "at other times", func(s *Spec) { s.Datasets = []string{"a", "b"} },
		Series{"a", bars, backtest.CalendarExchange}, Series{"b", randomWalk(t, 800, 2), backtest.CalendarExchange})

	require.NotEmpty(t, WFOConfig{TrainDays: new(300), TestDays: new(100)}.Check(permutedSpec(19)))
}

func TestPermutationsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	p := plan(t, permutedSpec(1000), randomWalk(t, 3000, 1))
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	_, err := p.RunShard(ctx, Shard{Trials: 1000, Rung: PermutedRung}, func(n int) { done = n; cancel() })
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, done, 5)
}
