package sweep

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

func wfoConfig(train, test, step int) WFOConfig {
	c := WFOConfig{TrainDays: &train, TestDays: &test, StepDays: &step}
	c.Normalize()
	return c
}

func TestFoldsAreHalfOpenAndStep(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1000, 1) // one bar a day from the epoch
	folds, warnings, errs := wfoConfig(300, 100, 150).Folds(bars)
	require.Empty(t, errs)
	require.Empty(t, warnings)
	require.Len(t, folds, 5)
	for i, fold := range folds {
		require.Equal(t, i, fold.Index)
		require.Equal(t, TrainTest{day(150 * i), day(150*i + 300), day(150*i + 400)}, fold.TrainTest)
		from, to, end := fold.span(bars)
		require.Equal(t, []int{150 * i, 150*i + 300, 150*i + 400}, []int{from, to, end})
		require.Equal(t, []int{300, 100}, []int{fold.TrainBars, fold.TestBars})
	}
	require.Equal(t, day(1000), folds[4].TestEnd, "the last bar is in the last fold")

	anchored := wfoConfig(300, 100, 150)
	anchored.Anchored = new(true)
	folds, _, errs = anchored.Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 5)
	require.Equal(t, TrainTest{day(0), day(900), day(1000)}, folds[4].TrainTest)
	require.Equal(t, 900, folds[4].TrainBars)

	bounded := wfoConfig(300, 100, 100)
	bounded.StartTS, bounded.EndTS = new(day(100)), new(day(799))
	folds, _, errs = bounded.Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 3, "a test window that ends a day too late makes no fold")
	require.Equal(t, day(100), folds[0].TrainStart)

	bounded.StartTS, bounded.EndTS = new(day(-50)), new(day(5000))
	folds, warnings, errs = bounded.Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 7)
	require.Len(t, warnings, 2)
}

func TestFoldsThatDoNotFitNameTheRemedy(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1000, 1)
	first := func(c WFOConfig) invalid.FieldError {
		_, _, errs := c.Folds(bars)
		require.NotEmpty(t, errs)
		return errs[0]
	}
	few := first(wfoConfig(700, 150, 150))
	require.Equal(t, "wfo_config.train_days", few.Field)
	require.Contains(t, few.Message, "fit 2 folds into the 1000 days")
	require.Contains(t, few.Message, "3 fit with train_days 550 or less")
	advised := wfoConfig(550, 150, 150)
	folds, _, errs := advised.Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 3)
	require.Contains(t, first(wfoConfig(500, 400, 400)).Message, "3 fit with test_days and step_days 166 or less")
	folds, _, errs = wfoConfig(500, 166, 166).Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 3)
	require.Contains(t, first(wfoConfig(5000, 400, 400)).Message, "fit 0 folds")

	many := first(wfoConfig(200, 100, 1))
	require.Equal(t, "wfo_config.step_days", many.Field)
	require.Contains(t, many.Message, "step_days 2 or more")
	require.Equal(t, "wfo_config.train_days", first(wfoConfig(60, 50, 100)).Field)
	require.Contains(t, first(wfoConfig(60, 50, 100)).Message, "about 100 days would do")
	require.Equal(t, "wfo_config.test_days", first(wfoConfig(200, 9, 50)).Field)
	wide := wfoConfig(200, 30, 2)
	wide.LeaderboardTopK = new(100)
	require.Equal(t, "wfo_config.leaderboard_top_k", first(wide).Field)
}

// A gap in the bars fails its folds, which partial walk-forwards do without.
func TestFoldsInAGapOfTheBarsAreSkipped(t *testing.T) {
	t.Parallel()
	walk := randomWalk(t, 1000, 1)
	at := append([]int64(nil), walk.Time...)
	for i := 500; i < len(at); i++ {
		at[i] += 300 * 86_400_000_000
	}
	bars, err := backtest.NewBars(at, walk.Open, walk.High, walk.Low, walk.Close, walk.Volume)
	require.NoError(t, err)
	c := wfoConfig(200, 100, 100)
	_, _, errs := c.Folds(bars)
	require.Equal(t, "wfo_config.test_days", errs[0].Field)
	require.Contains(t, errs[0].Message, "allow_partial")
	c.AllowPartial = new(true)
	folds, warnings, errs := c.Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 11)
	bad := 0
	for _, fold := range folds {
		if fold.Problem != "" {
			bad++
		}
	}
	require.Positive(t, bad)
	require.Len(t, warnings, bad)
	c.MinFolds = new(len(folds))
	_, _, errs = c.Folds(bars)
	require.NotEmpty(t, errs)
}

func TestInvalidWalkForwardsNameTheField(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*WFOConfig, *Spec){
		"wfo_config.train_days":        func(c *WFOConfig, _ *Spec) { c.TrainDays = nil },
		"wfo_config.test_days":         func(c *WFOConfig, _ *Spec) { c.TestDays = new(0) },
		"wfo_config.step_days":         func(c *WFOConfig, _ *Spec) { c.StepDays = new(-1) },
		"wfo_config.min_folds":         func(c *WFOConfig, _ *Spec) { c.MinFolds = new(1) },
		"wfo_config.leaderboard_top_k": func(c *WFOConfig, _ *Spec) { c.LeaderboardTopK = new(0) },
		"wfo_config.end_ts":            func(c *WFOConfig, _ *Spec) { c.StartTS, c.EndTS = new(day(9)), new(day(9)) },
		"select_on":                    func(_ *WFOConfig, s *Spec) { s.SelectOn = SelectOutOfSample },
		"window":                       func(_ *WFOConfig, s *Spec) { s.OOSRatio, s.Window = nil, &TrainTest{day(0), day(9), day(19)} },
		"strategy_name":                func(_ *WFOConfig, s *Spec) { s.StrategyName = "nope" },
	} {
		c, spec := wfoConfig(300, 100, 100), crossSpec()
		require.Empty(t, c.Check(spec))
		change(&c, &spec)
		errs := c.Check(spec)
		require.NotEmpty(t, errs, field)
		require.Equal(t, field, errs[0].Field)
	}
}

// stub makes a fold whose candidates score as given.
func stub(i int, top []backtest.Params, scores ...float64) FoldResult {
	return FoldResult{Fold: Fold{Index: i, TrainTest: TrainTest{day(100 * i), day(100*i + 100), day(100*i + 150)}}, Top: top, Scores: scores}
}

// The figures were computed with NumPy: mean, median, std with ddof 1, and the score by its formula.
func TestCandidatesAreJudgedOnEveryFold(t *testing.T) {
	t.Parallel()
	a, b, c := backtest.Params{5, 20}, backtest.Params{10, 50}, backtest.Params{15, 100}
	folds := []FoldResult{
		stub(0, []backtest.Params{a, b}, 1.2, 0.5, math.NaN()),
		stub(1, []backtest.Params{b, a}, -0.4, 0.9, 3),
		stub(2, []backtest.Params{a}, 0.8, 0.1, 4),
		stub(3, []backtest.Params{b, c}, 2.0, 0.7, 5),
		stub(4, []backtest.Params{b}, 0.1, -0.2, 6),
	}
	candidates := Candidates([][]backtest.Params{{c, a}, {b, a}})
	require.Equal(t, []backtest.Params{a, b, c}, candidates)
	spec := crossSpec()
	out := CombineFolds(spec, wfoConfig(100, 50, 100), []Series{{Bars: randomWalk(t, 600, 1), Calendar: backtest.CalendarExchange}}, candidates, folds)
	require.Equal(t, 3, out.Candidates)
	require.Equal(t, 2, out.Eligible)
	best, second, third := out.Ranked[0], out.Ranked[1], out.Ranked[2]
	require.Equal(t, map[string]float64{"fast": 10, "slow": 50}, best.Params)
	require.Equal(t, best.Params, out.BestParams)
	require.InDelta(t, 0.8, best.Coverage, 1e-15)
	require.InDelta(t, 0.4, best.MeanOOS, 1e-12)
	require.InDelta(t, 0.5, best.MedianOOS, 1e-12)
	require.InDelta(t, -0.2, best.WorstOOS, 1e-12)
	require.InDelta(t, 0.4472135954999579, best.StdDevOOS, 1e-12)
	require.InDelta(t, 0.09311456180001686, best.SelectionScore, 1e-12)
	require.True(t, second.Eligible, "three of five folds are 0.6")
	require.InDelta(t, 0.6, second.Coverage, 1e-15)
	require.InDelta(t, 0.0908950373970605, second.SelectionScore, 1e-12)
	require.False(t, third.Eligible, "the best scores do not make up for one fold in five")
	require.InDelta(t, 3.6, third.MeanOOS, 1e-12, "an undefined fold counts as zero")
	require.Nil(t, third.FoldScores[0])
	require.Equal(t, []int{1, 2, 3}, []int{best.Rank, second.Rank, third.Rank})

	none := CombineFolds(spec, wfoConfig(100, 50, 100), []Series{{Bars: randomWalk(t, 600, 1), Calendar: backtest.CalendarExchange}}, []backtest.Params{c},
		[]FoldResult{stub(0, []backtest.Params{c}, 1), stub(1, nil, 1)})
	require.Zero(t, none.Eligible)
	require.Nil(t, none.BestParams)
	require.Contains(t, strings.Join(none.Warnings, ";"), "no candidate")
}

// wholeFold runs the tune of a fold and scores the candidates there.
func wholeFold(t *testing.T, spec Spec, fold Fold, bars *backtest.Bars, k int) (*Plan, FoldResult, iter.Seq2[*Columns, error]) {
	t.Helper()
	p := plan(t, spec.OfFold(fold), bars)
	out := collect(t, p, 9)
	result := FoldResult{Fold: fold}
	for _, entry := range out.Leaderboard[:min(k, len(out.Leaderboard))] {
		result.Top = append(result.Top, p.Vector(entry.Params))
	}
	if len(out.Leaderboard) > 0 {
		result.Winner = &out.Leaderboard[0]
	}
	shards := p.Shards(9)
	results := runAll(t, p, shards)
	return p, result, func(yield func(*Columns, error) bool) {
		for _, sh := range shards {
			if columns, err := OpenColumns(p.spec, sh, results[sh.Index].columns); !yield(columns, err) {
				return
			}
		}
	}
}

// roundsOfFold is the fold's tune as the fleet runs it, rounds and all, with its trials as they are
// stored once it has ended.
func roundsOfFold(t *testing.T, spec Spec, fold Fold, bars *backtest.Bars) (*Plan, *Outcome, iter.Seq2[*Columns, error]) {
	t.Helper()
	fresh := func() *Plan { return plan(t, spec.OfFold(fold), bars) }
	p := fresh()
	out, shards, results := runRounds(t, fresh, rand.New(rand.NewPCG(uint64(fold.Index), 1)), 11)
	return p, out, func(yield func(*Columns, error) bool) {
		for _, sh := range shards {
			if sh.Rung > 0 {
				continue
			}
			data, err := out.FinalColumns(sh)
			require.NoError(t, err)
			if data == nil {
				data = results[sh.Index].columns
			}
			if columns, err := OpenColumns(p.spec, sh, data); !yield(columns, err) {
				return
			}
		}
	}
}

// What a fold's tune stored of a pruned trial is about a few bars of its training window; as a
// candidate of other folds the trial is judged on this one's test window all the same.
func TestCandidatesOfEverySearchAreJudgedOnWholeTestWindows(t *testing.T) {
	t.Parallel()
	bars, cfg := randomWalk(t, 2000, 8), wfoConfig(900, 200, 200)
	folds, _, errs := cfg.Folds(bars)
	require.Empty(t, errs)
	for name, spec := range searches() {
		t.Run(name, func(t *testing.T) {
			spec.OOSRatio = nil
			p, out, trials := roundsOfFold(t, spec, folds[0], bars)
			var all []backtest.Params // all trials of the fold, pruned or not
			pruned, scored := 0, 0
			for columns, err := range trials {
				require.NoError(t, err)
				for i := range columns.Len() {
					trial := columns.Trial(i)
					all = append(all, p.Vector(trial.Params))
					if trial.Pruned != nil {
						pruned++
						require.Nil(t, trial.ScoreOOS)
						if trial.Pruned.Score != nil {
							scored++
						}
					}
				}
			}
			require.Equal(t, spec.Pruning != nil, pruned > 0)
			require.Equal(t, spec.Pruning != nil, scored > 0)
			require.Len(t, all, out.Counts.Completed+out.Counts.Skipped)
			got, err := p.ScoreCandidates(t.Context(), all, trials)
			require.NoError(t, err)
			want, err := p.ScoreCandidates(t.Context(), all, noTrials)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(got)) // NaN equals NaN
		})
	}
}

func noTrials(func(*Columns, error) bool) {}

func TestWalkForwardFromFoldsToCurve(t *testing.T) {
	t.Parallel()
	bars, spec := randomWalk(t, 1200, 8), crossSpec()
	cfg := wfoConfig(400, 200, 150) // test windows overlap by 50 days
	folds, _, errs := cfg.Folds(bars)
	require.Empty(t, errs)
	require.Len(t, folds, 5)
	var plans []*Plan
	var results []FoldResult
	var stored []iter.Seq2[*Columns, error]
	var tops [][]backtest.Params
	for _, fold := range folds {
		p, result, trials := wholeFold(t, spec, fold, bars, 3)
		plans, results, stored = append(plans, p), append(results, result), append(stored, trials)
		tops = append(tops, result.Top)
	}
	candidates := Candidates(tops)
	candidates = append(candidates, backtest.Params{7, 61}) // which no fold ran
	for i, p := range plans {
		scores, err := p.ScoreCandidates(t.Context(), candidates, stored[i])
		require.NoError(t, err)
		again, err := p.ScoreCandidates(t.Context(), candidates, noTrials)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(scores), fmt.Sprint(again), "what the tune ran is what a backtest gives")
		results[i].Scores = scores
		until := day(1 << 20)
		if i+1 < len(folds) {
			until = folds[i+1].TrainEnd
		}
		require.NotNil(t, results[i].Winner)
		results[i].Stretch = p.Stretch(results[i].Top[0], until)
	}
	out := CombineFolds(spec, cfg, []Series{{Bars: bars, Calendar: backtest.CalendarExchange}}, candidates, results)

	// Every bar from the first test window on is once on the curve, in order.
	require.Len(t, out.Curve.Bars, 800)
	for i, bar := range out.Curve.Bars {
		require.Equal(t, int32(400+i), bar)
	}
	// The curve is the chain of its stretches, traded here on the whole history.
	equity := 10_000.0
	for i, result := range results {
		to := min(400+150*(i+1), 1200)
		if i == len(results)-1 {
			to = 1200
		}
		runner := backtest.NewTrader(bars, plans[i].strategy, plans[i].config)
		runner.Prepare(result.Top[0])
		var m backtest.Metrics
		runner.Simulate(backtest.Window{From: 400 + 150*i, To: to}, &m)
		equity *= m.FinalEquity / 10_000
		require.InDelta(t, equity, out.Curve.Equity[to-400-1], 1e-6)
	}
	require.InDelta(t, 100*(equity/10_000-1), out.OOS.ReturnPct, 1e-9)
	require.NotNil(t, out.OOS.Sharpe)
	require.Equal(t, 800, out.OOS.Bars)
}

func TestReturnsOfACurveAreThoseOfTheEngine(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 9)
	for _, hourly := range []bool{false, true} {
		if hourly {
			at := make([]int64, bars.Len())
			for i := range at {
				at[i] = time.Date(2020, 1, 1, 5, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour).UnixMicro()
			}
			var err error
			bars, err = backtest.NewBars(at, bars.Open, bars.High, bars.Low, bars.Close, bars.Volume)
			require.NoError(t, err)
		}
		p := plan(t, crossSpec(), bars)
		runner := backtest.NewTrader(bars, p.strategy, p.config)
		runner.Prepare(backtest.Params{5, 20})
		w := backtest.Window{From: 100, To: 650}
		var m backtest.Metrics
		runner.Simulate(w, &m)
		_, equity := runner.Trace(w)
		returns := bars.AppendReturns(nil, w, 10_000, equity)
		require.Len(t, returns, m.Periods)
		variance, n := spread(returns)
		var mean float64
		for _, r := range returns {
			mean += r / float64(n)
		}
		require.InDelta(t, m.Sharpe, math.Sqrt(bars.PeriodsPerYear(backtest.CalendarExchange))*mean/math.Sqrt(variance), 1e-9)
	}
}
