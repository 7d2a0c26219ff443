package knowledge_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
)

func good(i int) knowledge.Candidate {
	return knowledge.Candidate{
		TuneID: uuid.New(), TrialIndex: i, Timeframe: "1d", Params: map[string]float64{"fast": float64(5 + i), "slow": 100}, Similarity: 0.9,
		Sharpe: 1, ReturnPct: 10, Calmar: 1, MaxDrawdownPct: 10, Trades: 20, OverfitGap: 0.1,
	}
}

func many(n int, change func(*knowledge.Candidate)) []knowledge.Candidate {
	var all []knowledge.Candidate
	for i := range n {
		c := good(i)
		if change != nil {
			change(&c)
		}
		all = append(all, c)
	}
	return all
}

func terms() knowledge.Terms {
	t := knowledge.DefaultTerms()
	t.Timeframe = "1d"
	return t
}

func TestStatusFollowsTheNumberOfCandidates(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]knowledge.RecommendStatus{
		0: knowledge.RecommendNone, 2: knowledge.RecommendNone, 3: knowledge.RecommendDegraded,
		9: knowledge.RecommendDegraded, 10: knowledge.RecommendOK, 30: knowledge.RecommendOK,
	} {
		r := knowledge.Recommend(many(n, nil), terms())
		require.Equal(t, want, r.Status, "%d candidates", n)
		require.Len(t, r.Candidates, n)
		require.Equal(t, want == knowledge.RecommendNone, r.Params == nil)
		require.Equal(t, want == knowledge.RecommendNone, r.Confidence == 0)
		require.Empty(t, r.Relaxed)
	}
}

// Every axis alone rejects a candidate, is counted, and is suggested to be relaxed just enough.
func TestEachLimitRejectsAndIsSuggested(t *testing.T) {
	t.Parallel()
	for axis, spoil := range map[knowledge.Axis]struct {
		change   func(*knowledge.Candidate)
		from, to float64
	}{
		knowledge.AxisSharpe:     {func(c *knowledge.Candidate) { c.Sharpe = 0.2 }, 0.3, 0.2},
		knowledge.AxisReturn:     {func(c *knowledge.Candidate) { c.ReturnPct = 4 }, 5, 4},
		knowledge.AxisCalmar:     {func(c *knowledge.Candidate) { c.Calmar = 0.4 }, 0.5, 0.4},
		knowledge.AxisDrawdown:   {func(c *knowledge.Candidate) { c.MaxDrawdownPct = 25 }, 20, 25},
		knowledge.AxisTrades:     {func(c *knowledge.Candidate) { c.Trades = 4 }, 5, 4},
		knowledge.AxisGap:        {func(c *knowledge.Candidate) { c.OverfitGap = 0.6 }, 0.5, 0.6},
		knowledge.AxisSimilarity: {func(c *knowledge.Candidate) { c.Similarity = 0.2 }, 0.5, 0.2},
	} {
		r := knowledge.Recommend(append(many(5, spoil.change), many(2, nil)...), terms())
		require.Equal(t, knowledge.RecommendNone, r.Status, axis)
		require.Equal(t, map[knowledge.Axis]int{axis: 5}, r.RejectedBy)
		require.Equal(t, []knowledge.Relaxation{{Axis: axis, From: spoil.from, To: spoil.to, Admits: 7}}, r.Relax)
	}
	// Two faults are no single axis' matter; an undefined figure meets no limit and suggests none.
	r := knowledge.Recommend(many(5, func(c *knowledge.Candidate) { c.Sharpe, c.Trades = 0, 0 }), terms())
	require.Empty(t, r.Relax)
	r = knowledge.Recommend(many(5, func(c *knowledge.Candidate) { c.Sharpe = math.NaN() }), terms())
	require.Equal(t, knowledge.RecommendNone, r.Status)
	require.Empty(t, r.Relax)
}

func TestSuggestionRelaxesNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	all := many(20, nil)
	for i := range all {
		all[i].MaxDrawdownPct = 21 + float64(i)
	}
	r := knowledge.Recommend(all, terms())
	require.Equal(t, []knowledge.Relaxation{{Axis: knowledge.AxisDrawdown, From: 20, To: 23, Admits: 3}}, r.Relax)
}

func TestRelaxedNearnessAndTimeframeAreReported(t *testing.T) {
	t.Parallel()
	far := func(c *knowledge.Candidate) { c.Similarity = 0.3 }
	other := func(c *knowledge.Candidate) { c.Timeframe = "5m" }
	for _, test := range []struct {
		candidates []knowledge.Candidate
		relaxed    []knowledge.Axis
		best       float64
	}{
		{many(12, far), []knowledge.Axis{knowledge.AxisSimilarity}, 0.3},
		{many(12, other), []knowledge.Axis{knowledge.AxisTimeframe}, 0.9},
		{many(12, func(c *knowledge.Candidate) { far(c); other(c) }), []knowledge.Axis{knowledge.AxisSimilarity, knowledge.AxisTimeframe}, 0.3},
	} {
		r := knowledge.Recommend(test.candidates, terms())
		require.Equal(t, knowledge.RecommendDegraded, r.Status, "relaxed terms are never ok")
		require.Equal(t, test.relaxed, r.Relaxed)
		require.Equal(t, test.best, r.BestScore)
		require.NotNil(t, r.Params)
	}
}

// The parameters are a set that was run, in the middle of those that did well.
func TestRecommendedParametersAreOfACentralCandidate(t *testing.T) {
	t.Parallel()
	all := many(11, nil)
	all[10].Params = map[string]float64{"fast": 500, "slow": 100}
	all[10].Sharpe = 1.2 // the best of all, and an outlier
	r := knowledge.Recommend(all, terms())
	require.Equal(t, map[string]float64{"fast": 10, "slow": 100}, r.Params)
	require.Equal(t, r.BasedOn.Params, r.Params)
	require.Equal(t, []knowledge.ParamRange{{Name: "fast", Low: 7, Median: 10, High: 13}, {Name: "slow", Low: 100, Median: 100, High: 100}}, r.Ranges)
	require.Equal(t, 500.0, r.Candidates[0].Params["fast"], "candidates come best first")
}

func TestConfidenceGrowsWithNumberAndFallsWithSpread(t *testing.T) {
	t.Parallel()
	at := func(n int, spread float64) float64 {
		i := 0
		return knowledge.Recommend(many(n, func(c *knowledge.Candidate) {
			c.Sharpe += spread * (float64(i%2)*2 - 1)
			i++
		}), terms()).Confidence
	}
	require.InDelta(t, 1-math.Exp(-1), at(10, 0), 1e-12)
	require.InDelta(t, (1-math.Exp(-2))/(1+0.5*math.Sqrt(20.0/19)), at(20, 0.5), 1e-12)
	require.Greater(t, at(30, 0), at(10, 0))
	require.Less(t, at(10, 0.5), at(10, 0.1))
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(rt, "n")
		all := many(n, func(c *knowledge.Candidate) {
			c.Sharpe, c.Similarity = rapid.Float64Range(-3, 5).Draw(rt, "sharpe"), rapid.Float64Range(0, 1).Draw(rt, "similarity")
			c.Params["fast"] = rapid.Float64Range(0, 100).Draw(rt, "fast")
		})
		r := knowledge.Recommend(all, terms())
		if r.Confidence < 0 || r.Confidence > 1 || r.BestScore < 0 || r.BestScore > 1 {
			rt.Fatalf("confidence %v, best %v", r.Confidence, r.BestScore)
		}
		if r.Params != nil && !slices.ContainsFunc(all, func(c knowledge.Candidate) bool { return fmt.Sprint(c.Params) == fmt.Sprint(r.Params) }) {
			rt.Fatalf("no candidate has the parameters %v", r.Params)
		}
	})
}

func TestSimilarityIsOneForTheSameAndFallsWithDistance(t *testing.T) {
	t.Parallel()
	a := &sweep.Regime{Vector: sweep.RegimeVector{ATRNorm: 0.01, RSI: 50, BBWidth: 0.05, ER: 0.5, TrendStrength: 0.2, ZScore: 0}}
	require.Equal(t, 1.0, knowledge.Similarity(a, a))
	b := &sweep.Regime{Vector: sweep.RegimeVector{ATRNorm: 0.02, RSI: 65, BBWidth: 0.1, ER: 0.75, TrendStrength: 0.6, ZScore: 1}}
	require.InDelta(t, math.Exp(-0.5), knowledge.Similarity(a, b), 1e-9, "one scale apart in every figure")
	require.Equal(t, knowledge.Similarity(a, b), knowledge.Similarity(b, a))
	require.Positive(t, knowledge.Similarity(a, &sweep.Regime{}), "a market that never moves")
}

func TestCandidateNeedsAnOutOfSamplePart(t *testing.T) {
	t.Parallel()
	entry := sweep.Entry{MetricsIS: backtest.Metrics{Sharpe: 1.5}}
	_, ok := knowledge.NewCandidate(&entry)
	require.False(t, ok)
	entry.MetricsOOS = &backtest.Metrics{Sharpe: 1, ReturnPct: 8, Calmar: math.NaN()}
	c, ok := knowledge.NewCandidate(&entry)
	require.True(t, ok)
	require.InDelta(t, 0.5, c.OverfitGap, 1e-12)
	require.True(t, math.IsInf(c.Calmar, 1), "it earned and never fell")
}

func TestPriorityOfAGap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		matches int
		best    float64
		weak    bool
		codes   []string
		want    float64
	}{
		{0, 0, true, []string{knowledge.NoMatches}, 0.5 + 0.2 + 0.15},
		{4, 0.2, true, []string{knowledge.NoStrongMatches}, 0.3 + 0.2 + 0.1},
		{4, 0.49, true, []string{knowledge.NoStrongMatches}, 0.01 + 0.2 + 0.1},
		{4, 0.5, false, []string{}, 0},
		{1, 1, false, []string{}, 0},
	} {
		c := knowledge.Cover(test.matches, test.best)
		require.Equal(t, test.weak, c.Weak, "%+v", test)
		require.Equal(t, test.codes, c.Codes)
		require.InDelta(t, test.want, c.Priority, 1e-12)
	}
}

func TestIntentDoesNotDependOnWordOrder(t *testing.T) {
	t.Parallel()
	ask := func(text string, f knowledge.Filter) [32]byte {
		return knowledge.QueryIntent(knowledge.Question{Text: text, Filter: f}).Signature()
	}
	same := ask("When do breakouts fail?", knowledge.Filter{})
	require.Equal(t, same, ask("  when does a BREAKOUT fail", knowledge.Filter{}))
	require.NotEqual(t, same, ask("When do breakouts work?", knowledge.Filter{}))
	require.NotEqual(t, same, ask("When do breakouts fail?", knowledge.Filter{SourceTypes: []knowledge.SourceType{"pdf"}}))
	a := knowledge.RecommendIntent("sma_cross", []string{"uptrend", "noisy"}, terms())
	require.Equal(t, a.Signature(), knowledge.RecommendIntent("sma_cross", []string{"noisy", "uptrend"}, terms()).Signature())
	require.NotEqual(t, a.Signature(), knowledge.RecommendIntent("ema_cross", []string{"noisy", "uptrend"}, terms()).Signature())
	require.NotEqual(t, knowledge.Intent{Parts: []string{"ab", "c"}}.Signature(), knowledge.Intent{Parts: []string{"a", "bc"}}.Signature())
}
