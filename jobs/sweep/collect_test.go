package sweep

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

type stored struct{ columns, top, stats []byte }

// runAll runs every shard, in the order given or from first to last, and keeps what would be stored.
func runAll(tb testing.TB, p *Plan, shards []Shard, order ...int) map[int]stored {
	tb.Helper()
	if order == nil {
		for i := range shards {
			order = append(order, i)
		}
	}
	results := map[int]stored{}
	for _, i := range order {
		result, err := p.RunShard(tb.Context(), shards[i], func(int) {})
		require.NoError(tb, err)
		require.Equal(tb, shards[i].Trials, result.Completed+result.Skipped+result.Failed)
		var s stored
		s.columns, s.top, s.stats, err = result.Encode()
		require.NoError(tb, err)
		results[i] = s
	}
	return results
}

func collect(tb testing.TB, p *Plan, size int, order ...int) *Outcome {
	tb.Helper()
	shards := p.Shards(size)
	results := runAll(tb, p, shards, order...)
	out, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	})
	require.NoError(tb, err)
	return out
}

func asJSON(tb testing.TB, out *Outcome) string {
	tb.Helper()
	body, err := json.Marshal(struct {
		*Outcome
		Ranking []int32
	}{out, out.Ranking})
	require.NoError(tb, err)
	return string(body)
}

func TestOutcomeDoesNotDependOnShards(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 5)
	for name, change := range map[string]func(*Spec){
		"grid":     func(*Spec) {},
		"no split": func(s *Spec) { s.OOSRatio = nil },
		"sampled":  func(s *Spec) { s.NTrials = new(20) },
		"random": func(s *Spec) {
			s.SearchType, s.NTrials = SearchRandom, new(60)
			s.ParamSpace["slow"] = Range{Low: new(10.0), High: new(200.0), Log: true}
		},
		"selects oos": func(s *Spec) { s.SelectOn, s.ObjectiveType = SelectOutOfSample, ObjectiveReturnDDPenalty },
		"stops at random": func(s *Spec) {
			s.Stops, s.IntrabarPolicy = &backtest.Stops{StopPct: 2, TargetPct: 3}, backtest.PolicyRandom
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := crossSpec()
			change(&spec)
			whole := asJSON(t, collect(t, plan(t, spec, bars), MaxTrials))
			rapid.Check(t, func(rt *rapid.T) {
				p := plan(t, spec, bars) // a fresh plan, as another worker would make it
				size := rapid.IntRange(1, p.Trials()).Draw(rt, "size")
				order := make([]int, len(p.Shards(size)))
				for i := range order {
					order[i] = i
				}
				got := asJSON(t, collect(t, p, size, rapid.Permutation(order).Draw(rt, "order")...))
				require.Equal(t, whole, got)
			})
		})
	}
}

func TestTuneOutcomeIsComplete(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 900, 6))
	out := collect(t, p, 7)
	require.Equal(t, p.Trials(), out.Counts.Completed+out.Counts.Skipped)
	require.Len(t, out.Leaderboard, out.Counts.Completed)
	require.Len(t, out.Ranking, p.Trials())
	require.Equal(t, "oos", out.Gates.EvaluatedOn)
	require.NotNil(t, out.Overfit.PBO)
	require.NotNil(t, out.Overfit.DSR)
	require.LessOrEqual(t, *out.Overfit.DSR, *out.Overfit.PSR)
	seen := map[int32]bool{}
	for i, index := range out.Ranking {
		require.False(t, seen[index])
		seen[index] = true
		if i < len(out.Leaderboard) {
			entry := out.Leaderboard[i]
			require.Equal(t, int(index), entry.TrialIndex)
			require.Equal(t, i+1, entry.Rank)
			require.Equal(t, *entry.ScoreIS, entry.Score, "selected in sample")
			require.InDelta(t, *entry.ScoreIS-*entry.ScoreOOS, *entry.OverfitGap, 1e-12)
			require.LessOrEqual(t, entry.MetricsOOS.MaxDrawdownPct, 60.0)
			require.GreaterOrEqual(t, entry.MetricsOOS.Trades, 2)
			if i > 0 {
				require.LessOrEqual(t, entry.Score, out.Leaderboard[i-1].Score)
			}
		}
	}
	require.Equal(t, out.Leaderboard[0].TrialIndex, *out.BestTrial)
	require.Equal(t, out.Leaderboard[0].Params, out.BestParams)
}

func TestTrialsAgreeWithTheEngine(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 8)
	p := plan(t, crossSpec(), bars)
	shards := p.Shards(11)
	results := runAll(t, p, shards)
	is, oos := p.Windows()
	spec := crossSpec().normalized()
	runner := backtest.NewTrader(bars, p.strategy, spec.config(backtest.CalendarExchange))
	for i, sh := range shards {
		trials, err := DecodeColumns(crossSpec(), sh, results[i].columns)
		require.NoError(t, err)
		for k, trial := range trials {
			require.Equal(t, sh.First+k, trial.Index)
			params, errs := backtest.CheckParams(p.strategy, trial.Params)
			require.Empty(t, errs)
			var in, out backtest.Metrics
			runner.Prepare(params)
			runner.Simulate(is, &in)
			runner.Simulate(oos, &out)
			require.Equal(t, defined(in.Sharpe), trial.ScoreIS)
			require.Equal(t, defined(out.Sharpe), trial.ScoreOOS)
			require.InDelta(t, out.MaxDrawdownPct, *trial.MaxDrawdownOOS, 1e-5)
			require.Equal(t, out.Trades, *trial.TradesOOS)
			passes := out.MaxDrawdownPct <= 60 && out.Trades >= 2
			require.Equal(t, passes, trial.Status == StatusCompleted, trial.Reason)
			require.Equal(t, passes, trial.Reason == "")
		}
	}
}

func TestGatesSkipWithTheirReason(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 8)
	for reason, change := range map[string]func(*Spec){
		"max drawdown out of sample is above the gate of 0.001 %":    func(s *Spec) { s.Gates.MaxDrawdownPct = new(0.001) },
		"fewer trades out of sample than the gate of 500":            func(s *Spec) { s.Gates.MinTrades = new(500) },
		"fewer trades on all bars than the gate of 500":              func(s *Spec) { s.Gates.MinTrades, s.OOSRatio = new(500), nil },
		"objective sharpe is undefined in sample: no trade was made": func(s *Spec) { s.Account.Cash, s.Account.Size = new(1.0), new(1e6) },
	} {
		spec := crossSpec()
		change(&spec)
		p := plan(t, spec, bars)
		out := collect(t, p, 5)
		require.Zero(t, out.Counts.Completed)
		require.Equal(t, p.Trials(), out.Counts.Skipped)
		// Some trials hold through the whole part without a trade, with any gates.
		idle := out.Reasons["objective sharpe is undefined in sample: no trade was made"]
		if out.Reasons[reason] != idle {
			require.Equal(t, p.Trials()-idle, out.Reasons[reason], out.Reasons)
		}
		require.Positive(t, out.Reasons[reason])
		require.Empty(t, out.Leaderboard)
		require.Nil(t, out.BestTrial)
		require.Nil(t, out.Overfit.DSR)
		require.NotEmpty(t, out.Overfit.Undefined["dsr"])
		require.Contains(t, out.Warnings, "no trial passed its gates with a defined objective: see reasons")
		require.Len(t, out.Ranking, p.Trials())
	}
}

func TestSelectionOutOfSampleWarns(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.SelectOn = SelectOutOfSample
	out := collect(t, plan(t, spec, randomWalk(t, 700, 8)), 5)
	require.Contains(t, out.Warnings[0], "select_on is oos")
	for _, entry := range out.Leaderboard {
		require.Equal(t, *entry.ScoreOOS, entry.Score)
	}
}

// fragile panics on some parameters.
type fragile struct{ backtest.Strategy }

func (f fragile) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(f, cfg)
}

func (f fragile) Signals(ind *backtest.Indicators, p backtest.Params, out *backtest.Signals) {
	if p[0] == 15 {
		panic("no signal")
	}
	f.Strategy.(backtest.Signaler).Signals(ind, p, out)
}

func TestPanicFailsTheTrialAlone(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 8)
	p := plan(t, crossSpec(), bars)
	p.strategy = fragile{p.strategy}
	out := collect(t, p, 6)
	require.Equal(t, 4, out.Counts.Failed)
	require.Equal(t, 4, out.Reasons["the strategy failed on these parameters"])

	spec := crossSpec()
	spec.Constraints = append(spec.Constraints, "fast != 15")
	want := collect(t, plan(t, spec, bars), 6)
	require.Equal(t, want.Counts.Completed, out.Counts.Completed)
	for i, entry := range want.Leaderboard {
		require.Equal(t, entry.Params, out.Leaderboard[i].Params)
		require.Equal(t, entry.Score, out.Leaderboard[i].Score)
	}
}

func TestTiesBreakByParamsThenIndex(t *testing.T) {
	t.Parallel()
	cols := newColumns(2, 0)
	for _, row := range []struct {
		a, b, score float64
		verdict     verdict
	}{{2, 1, 5, passed}, {1, 9, 5, passed}, {1, 2, 5, passed}, {0, 0, 9, tooDeep}, {1, 2, 5, passed}, {7, 7, 6, passed}, {0, 0, 9, panicked}, {0, 0, 1, neverTraded}} {
		cols.append(backtest.Params{row.a, row.b}, &trialRow{verdict: row.verdict, scoreIS: row.score})
	}
	g := gathered{cols: &cols}
	g.rank(&Plan{}, &Counts{Completed: 5})
	require.Equal(t, []int32{5, 2, 4, 1, 0, 3, 7, 6}, g.ranking)
}

func TestColumnsRoundTripAndStaySmall(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(60.0)}, "slow": {Low: new(10.0), High: new(130.0), Step: new(3.0)}}
	p := plan(t, spec, randomWalk(t, 400, 3))
	shards := p.Shards(MaxTrials)
	results := runAll(t, p, shards)
	perTrial := float64(len(results[0].columns)) / float64(p.Trials())
	t.Logf("%d trials, %.1f bytes a trial", p.Trials(), perTrial)
	require.Less(t, perTrial, 60.0)

	_, err := DecodeColumns(spec, Shard{Trials: p.Trials() - 1}, results[0].columns)
	require.ErrorContains(t, err, "bytes instead of")
	_, err = DecodeColumns(spec, shards[0], results[0].columns[:40])
	require.Error(t, err)
}

func TestColumnsOpenOneTrialAlone(t *testing.T) {
	t.Parallel()
	for name, spec := range searches() {
		if spec.SearchType == SearchTPE || spec.Pruning != nil {
			continue // these go by rounds
		}
		p := plan(t, spec, randomWalk(t, 1500, 8))
		shards := p.Shards(20)
		sh, data := shards[1], runAll(t, p, shards)[1].columns
		all, err := DecodeColumns(spec, sh, data)
		require.NoError(t, err, name)
		for _, wanted := range [][]int{{}, {sh.First}, {sh.First + 7, sh.First + 3, sh.First + sh.Trials - 1}} {
			some, err := DecodeTrials(spec, sh, data, wanted)
			require.NoError(t, err)
			require.Len(t, some, len(wanted))
			for i, index := range wanted {
				require.Equal(t, all[index-sh.First], some[i])
			}
		}
		_, err = DecodeTrials(spec, sh, data, []int{sh.First + sh.Trials})
		require.ErrorContains(t, err, "is not in the shard")
	}
}

func TestCollectRefusesAnIncompleteTune(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 700, 8))
	shards := p.Shards(10)
	results := runAll(t, p, shards)
	load := func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	}
	_, err := Collect(p, shards[:1], load)
	require.ErrorContains(t, err, "10 trials were run of 32")
	_, err = Collect(p, shards[1:], load)
	require.ErrorContains(t, err, "begins at trial 10")
	_, err = Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats[:8*10+3], nil
	})
	require.ErrorContains(t, err, "cut short")
	_, err = Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top[:9], results[i].stats, nil
	})
	require.ErrorContains(t, err, "full metrics")
}

func TestReplayedLeadersEqualTheirTrials(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 700, 8))
	shards := p.Shards(10)
	results := runAll(t, p, shards)
	kept, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	})
	require.NoError(t, err)
	rerun, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, make([]byte, 4), results[i].stats, nil
	})
	require.NoError(t, err)
	require.Equal(t, asJSON(t, kept), asJSON(t, rerun))
}

func TestRunShardStopsWithItsContext(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 700, 8))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.RunShard(ctx, p.Shards(100)[0], func(int) {})
	require.ErrorIs(t, err, context.Canceled)

	// Ended half-way, it stops within the bars between two looks.
	spec := crossSpec()
	spec.Constraints, spec.NTrials = nil, new(5000)
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(200.0)}, "slow": {Low: new(2.0), High: new(200.0)}}
	p = plan(t, spec, randomWalk(t, 700, 8))
	ctx, cancel = context.WithCancel(t.Context())
	last := 0
	_, err = p.RunShard(ctx, p.Shards(5000)[0], func(done int) {
		if last = done; done >= 100 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, last, 100+barsBetweenChecks/700+backtest.Lanes)
}

func TestStabilitySeparatesPlateauFromSpike(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 700, 8))
	score := func(f func(fast, slow float64) float64) *float64 {
		cols := newColumns(len(p.names), 0)
		best := 0
		for i, params := range allParams(p) {
			cols.append(params, &trialRow{scoreIS: f(params[0], params[1])})
			if cols.scores[0][i] > cols.scores[0][best] {
				best = i
			}
		}
		var o Overfit
		p.stability(&o, &gathered{cols: &cols, ranking: []int32{int32(best)}})
		return o.Stability
	}
	require.InDelta(t, 1, *score(func(fast, slow float64) float64 { return 2 }), 1e-12)
	spike := score(func(fast, slow float64) float64 {
		if fast == 20 && slow == 50 {
			return 2
		}
		return 0.1
	})
	require.InDelta(t, 0.05, *spike, 1e-12)
	lost := score(func(fast, slow float64) float64 {
		switch {
		case fast == 20 && slow == 50:
			return 2
		case fast == 15 && slow == 50:
			return math.NaN()
		}
		return 1
	})
	require.InDelta(t, 2.0/3/2, *lost, 1e-12, "of the three neighbours within fast < slow one has no score")
	require.Nil(t, score(func(fast, slow float64) float64 { return -1 }))
}
