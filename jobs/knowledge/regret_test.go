package knowledge_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
)

// pairs counts, for every pair of series, how similar they are, and returns the area under the curve of that
// against whether they are of one kind, and the shares at or above 0.5 of pairs of one kind and of two.
func pairs(regimes [][]*sweep.Regime) (area, same, other float64) {
	var of [2][]float64
	for i, a := range regimes {
		for x, one := range a {
			for j, b := range regimes[i:] {
				for y, two := range b {
					switch {
					case j > 0:
						of[0] = append(of[0], knowledge.Similarity(one, two))
					case y > x:
						of[1] = append(of[1], knowledge.Similarity(one, two))
					}
				}
			}
		}
	}
	slices.Sort(of[0])
	var below float64
	for _, s := range of[1] {
		first, _ := slices.BinarySearch(of[0], s)
		after, _ := slices.BinarySearchFunc(of[0], s, func(x, s float64) int {
			if x <= s {
				return -1
			}
			return 1
		})
		below += float64(first+after) / 2
	}
	share := func(all []float64) float64 {
		n := 0
		for _, s := range all {
			if s >= knowledge.DefaultTerms().MinSimilarity {
				n++
			}
		}
		return float64(n) / float64(len(all))
	}
	return below / float64(len(of[0])) / float64(len(of[1])), share(of[1]), share(of[0])
}

// Series of one kind are more similar than series of two kinds.
func TestSeriesOfOneKindAreMoreSimilarThanOfTwo(t *testing.T) {
	t.Parallel()
	for _, bars := range []int{250, 500, 1000} {
		var regimes, states [][]*sweep.Regime
		for k, m := range markets() {
			var full, state []*sweep.Regime
			for i := range 20 {
				r, err := sweep.NewRegime(m.series(t, bars, uint64(1000*k+i)), bars)
				require.NoError(t, err)
				full, state = append(full, r), append(state, sweep.RegimeOf(r.Vector))
			}
			regimes, states = append(regimes, full), append(states, state)
		}
		area, same, other := pairs(regimes)
		before, _, _ := pairs(states)
		t.Logf("%4d bars: area under the curve %.3f (%.3f by the last bars alone); similar: %.0f %% of pairs of one kind, %.0f %% of two", bars, area, before, 100*same, 100*other)
		require.Greater(t, area, 0.85)
		require.Greater(t, same, 0.75)
	}
}

// tuned runs a tune and returns its leaders as candidates, and the out-of-sample score of each trial by its
// parameters.
type tuned struct {
	regime  *sweep.Regime
	leaders []knowledge.Candidate
	scores  map[string]float64
}

func key(params map[string]float64) string { return fmt.Sprint(params) }

func runTune(t *testing.T, spec sweep.Spec, bars *backtest.Bars, topK int) tuned {
	t.Helper()
	plan, faults := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
	require.Empty(t, faults)
	out, _, err := plan.RunWhole(context.Background(), 1)
	require.NoError(t, err)
	found := tuned{regime: out.Regime, scores: map[string]float64{}}
	for i := range out.Leaderboard {
		e := &out.Leaderboard[i]
		if e.ScoreOOS != nil {
			found.scores[key(e.Params)] = *e.ScoreOOS
		}
		if c, ok := knowledge.NewCandidate(e); ok && i < topK {
			c.TuneID, c.Timeframe, c.Objective = uuid.New(), "1d", "sharpe"
			found.leaders = append(found.leaders, c)
		}
	}
	return found
}

// crossing is a space of sma_cross with its default in it.
func crossing() sweep.Spec {
	return sweep.Spec{
		StrategyName: "sma_cross",
		ParamSpace: map[string]sweep.Range{
			"fast": {Values: []float64{3, 5, 10, 20, 40}}, "slow": {Values: []float64{10, 20, 30, 50, 100, 150}},
		},
		Constraints: []string{"fast < slow"}, OOSRatio: new(0.5), Seed: new(uint64(1)),
	}
}

// outcome sums out-of-sample Sharpe ratios over series.
type outcome struct {
	defaults, recommended, best float64
	statuses                    map[knowledge.RecommendStatus]int
}

// taken is the share of the regret of the defaults, against the best parameters in hindsight, that is gone.
func (o outcome) taken() float64 { return (o.recommended - o.defaults) / (o.best - o.defaults) }

// add scores a recommendation for a series from what is known of others.
func (o *outcome) add(fresh tuned, known []tuned, similarity func(a, b *sweep.Regime) float64) {
	var all []knowledge.Candidate
	for _, tune := range known {
		for _, c := range tune.leaders {
			c.Similarity = similarity(fresh.regime, tune.regime)
			all = append(all, c)
		}
	}
	terms := knowledge.DefaultTerms()
	terms.Timeframe = "1d"
	r := knowledge.Recommend(all, terms)
	if o.statuses == nil {
		o.statuses = map[knowledge.RecommendStatus]int{}
	}
	o.statuses[r.Status]++
	own := fresh.scores[key(map[string]float64{"fast": 10, "slow": 30})] // sma_cross's defaults
	got, best := own, own
	if r.Params != nil {
		got = fresh.scores[key(r.Params)]
	}
	for _, score := range fresh.scores {
		best = max(best, score)
	}
	o.defaults, o.recommended, o.best = o.defaults+own, o.recommended+got, o.best+best
}

// What is recommended for a new series, from tunes of past ones of eleven kinds, does better out of sample than
// the strategy's defaults. On most kinds no parameters are better than others but by chance, so that little of
// the regret can be taken away; on waves nearly all can.
func TestRecommendationsTakeAwayRegret(t *testing.T) {
	t.Parallel()
	series := 44
	if n, err := strconv.Atoi(os.Getenv("MILLRACE_REGRET_SERIES")); err == nil {
		series = n
	}
	const bars, past = 1400, 6
	kinds := markets()
	var known []tuned
	for k, m := range kinds {
		for i := range past {
			known = append(known, runTune(t, crossing(), m.series(t, bars, uint64(50_000+1000*k+i)), 10))
		}
	}
	byState := func(a, b *sweep.Regime) float64 {
		return knowledge.Similarity(sweep.RegimeOf(a.Vector), sweep.RegimeOf(b.Vector))
	}
	var all, state outcome
	each := make([]outcome, len(kinds))
	for i := range series {
		k := i % len(kinds)
		fresh := runTune(t, crossing(), kinds[k].series(t, bars, uint64(90_000+i)), 0)
		all.add(fresh, known, knowledge.Similarity)
		state.add(fresh, known, byState)
		each[k].add(fresh, known, knowledge.Similarity)
	}
	line := func(name string, o outcome) {
		n := 0.0
		for _, count := range o.statuses {
			n += float64(count)
		}
		t.Logf("%-22s defaults %6.3f, recommended %6.3f, best in hindsight %6.3f, regret taken away %4.0f %%; %v",
			name, o.defaults/n, o.recommended/n, o.best/n, 100*o.taken(), o.statuses)
	}
	line("all", all)
	line("by the last bars alone", state)
	for k, o := range each {
		line(kinds[k].name, o)
	}
	require.Positive(t, all.taken())
	require.Greater(t, each[2].taken(), 0.5, "of waves")
	require.Greater(t, all.statuses[knowledge.RecommendOK], series/4)
	require.Greater(t, all.taken(), state.taken())
}
