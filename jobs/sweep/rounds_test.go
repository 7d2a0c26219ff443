package sweep

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// runRounds runs a plan from its first round to its outcome as the fleet does: shards of drawn sizes,
// in any order, planned by one process and run by another. It returns the stored columns too.
func runRounds(tb testing.TB, fresh func() *Plan, rng *rand.Rand, most int) (*Outcome, []Shard, map[int]stored) {
	tb.Helper()
	size := func(int) int { return 1 + rng.IntN(most) }
	shards := fresh().Cut(size)
	results := map[int]stored{}
	run := func(from int) {
		p := fresh()
		for _, i := range rng.Perm(len(shards) - from) {
			sh := shards[from+i]
			result, err := p.RunShard(tb.Context(), sh, func(int) {})
			require.NoError(tb, err)
			var s stored
			s.columns, s.top, s.stats, err = result.Encode()
			require.NoError(tb, err)
			results[sh.Index] = s
		}
	}
	run(0)
	for round := 1; round < fresh().Rounds(); round++ {
		batch, err := fresh().Next(round, shards, func(i int) ([]byte, error) { return results[i].columns, nil })
		require.NoError(tb, err)
		from := len(shards)
		shards = append(shards, batch.Cut(from, size)...)
		run(from)
	}
	p := fresh()
	out, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	})
	require.NoError(tb, err)
	return out, shards, results
}

// searches are specs of every kind of search, over the same space.
func searches() map[string]Spec {
	specs := map[string]Spec{}
	for _, search := range Searches() {
		for _, pruned := range []bool{false, true} {
			spec := crossSpec()
			spec.SearchType, spec.NTrials = search, new(60)
			spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(40.0)}, "slow": {Low: new(5.0), High: new(160.0), Step: new(5.0)}}
			if pruned {
				if search == SearchTPE {
					continue
				}
				spec.Pruning = &Pruning{Eta: new(2)}
			}
			specs[fmt.Sprintf("%s pruned=%v", search, pruned)] = spec
		}
	}
	return specs
}

func TestRoundsDoNotDependOnShards(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1400, 5)
	for name, spec := range searches() {
		t.Run(name, func(t *testing.T) {
			fresh := func() *Plan { return plan(t, spec, bars) }
			out, shards, _ := runRounds(t, fresh, rand.New(rand.NewPCG(1, 1)), 1000)
			require.Equal(t, 60, len(out.Ranking))
			want := asJSON(t, out)
			wantTrials := finalTrials(t, fresh(), out, shards)
			for _, most := range []int{1, 2, 7, 30} {
				rng := rand.New(rand.NewPCG(uint64(most), 2))
				got, shards, _ := runRounds(t, fresh, rng, most)
				require.Equal(t, want, asJSON(t, got))
				require.Equal(t, wantTrials, finalTrials(t, fresh(), got, shards))
			}
		})
	}
}

// finalTrials reads every trial as the API would once the tune is completed.
func finalTrials(tb testing.TB, p *Plan, out *Outcome, shards []Shard) []Trial {
	tb.Helper()
	var all []Trial
	for _, sh := range shards {
		columns, err := out.FinalColumns(sh)
		require.NoError(tb, err)
		if columns == nil {
			continue
		}
		trials, err := DecodeColumns(p.spec, sh, columns)
		require.NoError(tb, err)
		all = append(all, trials...)
	}
	return all
}

func TestPrunedTrialsAreSkippedAndKept(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1400, 5)
	spec := searches()["random pruned=true"]
	spec.Gates = GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(0)}
	fresh := func() *Plan { return plan(t, spec, bars) }
	out, shards, results := runRounds(t, fresh, rand.New(rand.NewPCG(1, 1)), 13)
	p := fresh()
	require.Equal(t, 3, p.Rounds())
	require.Equal(t, []Rung{{Bars: 245, Trials: 60, Pruned: 30}, {Bars: 490, Trials: 30, Pruned: 15}, {Bars: 980, Trials: 15}}, out.Pruning)
	require.Equal(t, 60, out.Counts.Completed+out.Counts.Skipped+out.Counts.Failed)
	require.Equal(t, 30, out.Reasons["pruned after rung 1: others scored higher on its bars"])
	require.Equal(t, 15, out.Reasons["pruned after rung 2: others scored higher on its bars"])

	trials := finalTrials(t, p, out, shards)
	require.Len(t, trials, 60)
	byRung := map[int][]float64{}
	whole := plan(t, func() Spec { s := spec; s.Pruning = nil; return s }(), bars)
	params := allParams(whole)
	for i, trial := range trials {
		require.Equal(t, i, trial.Index)
		require.Equal(t, named(p.names, params[i]), trial.Params)
		if trial.Pruned == nil {
			continue
		}
		require.Equal(t, StatusSkipped, trial.Status)
		require.Nil(t, trial.Score)
		if trial.Pruned.Score != nil {
			byRung[trial.Pruned.Rung] = append(byRung[trial.Pruned.Rung], *trial.Pruned.Score)
		}
	}
	// What went on scored no worse, on the bars of the rung, than what was pruned there.
	var runner backtest.Metrics
	r := backtest.NewTrader(bars, p.strategy, p.config)
	for _, trial := range trials {
		if trial.Pruned != nil && trial.Pruned.Rung == 1 {
			continue
		}
		r.Prepare(params[trial.Index])
		r.Simulate(backtest.Window{From: 980 - 245, To: 980}, &runner)
		if isFinite(runner.Sharpe) {
			require.GreaterOrEqual(t, runner.Sharpe, slices.Max(byRung[1]))
		}
	}
	// Those of the last rung are as they would be without pruning.
	for i, sh := range whole.Shards(60) {
		result, err := whole.RunShard(t.Context(), sh, func(int) {})
		require.NoError(t, err)
		columns, _, _, err := result.Encode()
		require.NoError(t, err)
		unpruned, err := DecodeColumns(spec, sh, columns)
		require.NoError(t, err)
		for k, trial := range trials {
			if trial.Pruned == nil {
				require.Equal(t, unpruned[k], trial, "shard %d", i)
			}
		}
	}
	require.Equal(t, 45+15, out.Overfit.NTrials)
	// While it runs, a trial that may continue has status running.
	running, err := DecodeColumns(spec, shards[0], results[0].columns)
	require.NoError(t, err)
	require.Equal(t, StatusRunning, running[0].Status)
}

func TestFinalColumnsAreIdempotent(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 1400, 5)
	spec := searches()["grid pruned=true"]
	fresh := func() *Plan { return plan(t, spec, bars) }
	out, shards, results := runRounds(t, fresh, rand.New(rand.NewPCG(1, 1)), 9)
	for _, sh := range shards {
		final, err := out.FinalColumns(sh)
		require.NoError(t, err)
		if final != nil {
			kept := results[sh.Index]
			kept.columns = final
			results[sh.Index] = kept
		}
	}
	again, err := Collect(fresh(), shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	})
	require.NoError(t, err)
	require.Equal(t, asJSON(t, out), asJSON(t, again))
	require.Equal(t, finalTrials(t, fresh(), out, shards), finalTrials(t, fresh(), again, shards))
}

func TestTPENeverRepeatsATrialAndKeepsConstraints(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 400, 5)
	spec := searches()["tpe pruned=false"]
	spec.OOSRatio = nil
	spec.NTrials, spec.TPE = new(400), &TPE{Startup: new(20), Batch: new(40)}
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(30.0)}, "slow": {Low: new(2.0), High: new(30.0)}}
	spec.Constraints = []string{"fast < slow"}
	fresh := func() *Plan { return plan(t, spec, bars) }
	require.Equal(t, 29*28/2, 406)
	out, shards, results := runRounds(t, fresh, rand.New(rand.NewPCG(1, 1)), 50)
	require.Len(t, out.Ranking, 400)
	seen := map[string]bool{}
	for _, sh := range shards {
		trials, err := DecodeColumns(spec, sh, results[sh.Index].columns)
		require.NoError(t, err)
		for _, trial := range trials {
			require.Less(t, trial.Params["fast"], trial.Params["slow"])
			key := fmt.Sprint(trial.Params)
			require.False(t, seen[key], key)
			seen[key] = true
		}
	}
	require.Len(t, seen, 400)
}

func TestTPEFindsMoreThanRandom(t *testing.T) {
	t.Parallel()
	// Branin's function, whose best value is −0.397887.
	branin := func(x, y float64) float64 {
		valley := y - 5.1/(4*math.Pi*math.Pi)*x*x + 5/math.Pi*x - 6
		return -(valley*valley + 10*(1-1/(8*math.Pi))*math.Cos(x) + 10)
	}
	space := &space{axes: []axis{{low: -5, high: 10, searched: true}, {low: 0, high: 15, searched: true}}}
	best := func(seed uint64, startup int) float64 {
		const n, batch = 120, 10
		seq, faults := newSequence(Spec{SearchType: SearchRandom, NTrials: new(n), Seed: &seed}, space, nil)
		require.Empty(t, faults)
		var tried []backtest.Params
		var scores []float64
		highest := math.Inf(-1)
		try := func(p backtest.Params) {
			score := branin(p[0], p[1])
			tried, scores, highest = append(tried, p), append(scores, score), max(highest, score)
		}
		for i := range startup {
			p := make(backtest.Params, 2)
			seq.next(uint64(i), p)
			try(p)
		}
		for len(tried) < n {
			for _, p := range newProposer(seq, seed, defaultCandidates).propose(tried, scores, len(tried), batch) {
				try(p)
			}
		}
		return highest
	}
	var learned, random []float64
	for seed := range uint64(9) {
		learned, random = append(learned, best(seed, 20)), append(random, best(seed, 120))
	}
	slices.Sort(learned)
	slices.Sort(random)
	t.Logf("median best of 120 trials: tpe %.4f, random %.4f", learned[4], random[4])
	require.Greater(t, learned[4], -0.5)
	require.Less(t, random[4], learned[4]-0.1)
}

func TestSearchSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Spec){
		"tpe: is for search_type tpe, not grid": func(s *Spec) { s.TPE = &TPE{} },
		"n_trials: must be at most 50000":       func(s *Spec) { s.SearchType, s.NTrials = SearchTPE, new(50_001) },
		"tpe.batch: must be from 50, which makes": func(s *Spec) {
			s.SearchType, s.NTrials, s.TPE = SearchTPE, new(50_000), &TPE{Startup: new(10), Batch: new(2)}
		},
		"tpe.startup: must be from 1":                  func(s *Spec) { s.SearchType, s.TPE = SearchTPE, &TPE{Startup: new(0)} },
		"tpe.candidates: must be from 1 to 200":        func(s *Spec) { s.SearchType, s.TPE = SearchTPE, &TPE{Candidates: new(1000)} },
		"pruning: does not go with search_type tpe":    func(s *Spec) { s.SearchType, s.Pruning = SearchTPE, &Pruning{} },
		`pruning.type: "asha" is unknown`:              func(s *Spec) { s.Pruning = &Pruning{Type: "asha"} },
		"pruning.eta: must be from 2 to 10":            func(s *Spec) { s.Pruning = &Pruning{Eta: new(1)} },
		"pruning.rungs: must be from 2 to 8":           func(s *Spec) { s.Pruning = &Pruning{Rungs: new(1)} },
		"pruning: needs at least 600 bars in the part": func(s *Spec) { s.Pruning = &Pruning{} },
		"pruning.rungs: 3 rungs do not fit: by 2 each": func(s *Spec) { s.Pruning = &Pruning{Eta: new(2), Rungs: new(3)} },
	} {
		spec := crossSpec()
		change(&spec)
		_, errs := NewPlan(spec, randomWalk(t, 700, 1), backtest.CalendarExchange)
		require.NotEmpty(t, errs, want)
		require.Contains(t, errs[0].Error(), want)
	}
}
