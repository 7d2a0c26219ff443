package sweep

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/golden"
)

// steppedWalk is daily bars of whole cents made of whole numbers: the same on every machine.
func steppedWalk(tb testing.TB, n int, seed uint64) *backtest.Bars {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	var at []int64
	var columns [5][]float64
	cents := 20_000
	for i := range n {
		open := max(1000, cents+rng.IntN(41)-20)
		closing := max(1000, open+rng.IntN(401)-198)
		at = append(at, int64(i)*86_400_000_000)
		for k, v := range []int{open, max(open, closing) + rng.IntN(60), min(open, closing) - rng.IntN(60), closing, 100_000} {
			columns[k] = append(columns[k], float64(v)/100)
		}
		cents = closing
	}
	bars, err := backtest.NewBars(at, columns[0], columns[1], columns[2], columns[3], columns[4])
	require.NoError(tb, err)
	return bars
}

// TestSearchesChangeOnlyWithTheEngineNumber holds a tune of each search, with every part of what it
// found: leaderboard, ranking, evidence of overfitting and regime; and a walk-forward.
func TestSearchesChangeOnlyWithTheEngineNumber(t *testing.T) {
	t.Parallel()
	bars := steppedWalk(t, 900, 4)
	axes := map[string]Range{
		"fast": {Low: new(3.0), High: new(60.0), Log: true},
		"slow": {Low: new(10.0), High: new(150.0), Step: new(1.0)},
	}
	specs := map[string]Spec{"grid": crossSpec()}
	for _, search := range []Search{SearchRandom, SearchSobol, SearchTPE} {
		spec := crossSpec()
		spec.SearchType, spec.NTrials, spec.ParamSpace, spec.Seed = search, new(80), axes, new(uint64(9))
		specs[string(search)] = spec
	}
	halving := specs[string(SearchRandom)]
	halving.Pruning = &Pruning{}
	specs["pruned"] = halving
	calmar := crossSpec()
	calmar.StrategyName, calmar.ObjectiveType = "rsi_reversal", ObjectiveCalmar
	calmar.ParamSpace, calmar.Constraints = map[string]Range{"period": {Low: new(3.0), High: new(30.0), Step: new(1.0)}}, nil
	specs["calmar"] = calmar

	hashes := map[string]string{}
	for name, spec := range specs {
		p := plan(t, spec, bars)
		out, table, err := p.RunWhole(t.Context(), 2)
		require.NoError(t, err)
		require.NotEmpty(t, out.Leaderboard, name)
		sum, err := golden.Sum([]any{json.RawMessage(asJSON(t, out)), table.Bytes()})
		require.NoError(t, err)
		hashes["the search "+name] = sum
	}
	spec := crossSpec()
	spec.OOSRatio = nil
	cfg := wfoConfig(300, 120, 120)
	out, warnings, err := RunWholeWFO(t.Context(), spec, cfg, []Series{{Bars: bars, Calendar: backtest.CalendarExchange}}, 2)
	require.NoError(t, err)
	require.Greater(t, len(out.Ranked), 3)
	hashes["a walk-forward"], err = golden.Sum([]any{out, out.Ranked, out.Curve, warnings})
	require.NoError(t, err)
	spec.Datasets = []string{"a", "b"}
	over := []Series{{Name: "a", Bars: bars, Calendar: backtest.CalendarExchange}, {Name: "b", Bars: weekdays(t, steppedWalk(t, 900, 12)), Calendar: backtest.CalendarExchange}}
	out, warnings, err = RunWholeWFO(t.Context(), spec, cfg, over, 2)
	require.NoError(t, err)
	require.Greater(t, len(out.Ranked), 3)
	hashes["a walk-forward over datasets"], err = golden.Sum([]any{out, out.Ranked, out.Curve, warnings})
	require.NoError(t, err)
	require.NoError(t, golden.Check("testdata/results.json", backtest.Engine, "backtest.Engine", hashes, os.Getenv(golden.WriteEnv) != ""))
}

// A tune run in one process is the tune that a fleet runs, trial by trial.
func TestWholeRunsEqualThoseOfAFleet(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 8)
	for name, spec := range searches() {
		rng := rand.New(rand.NewPCG(5, 5))
		fleet, shards, results := runRounds(t, func() *Plan { return plan(t, spec, bars) }, rng, 17)
		p := plan(t, spec, bars)
		out, table, err := p.RunWhole(t.Context(), 3)
		require.NoError(t, err)
		require.Equal(t, asJSON(t, fleet), asJSON(t, out), name)
		stored := NewTable(p.names)
		for _, sh := range shards {
			if sh.Rung > 0 {
				continue
			}
			data, err := fleet.FinalColumns(sh)
			require.NoError(t, err)
			if data == nil {
				data = results[sh.Index].columns
			}
			require.NoError(t, stored.Add(sh, data))
		}
		require.Equal(t, stored.Bytes(), table.Bytes(), name)
		require.Nil(t, stored.FirstDifference(table))

		read, err := ReadTable(p.names, stored.Bytes())
		require.NoError(t, err)
		require.Nil(t, stored.FirstDifference(read))
		read.cols.scores[0][7] += 1e-9
		read.cols.trades[0][9]++
		found := stored.FirstDifference(read)
		require.Equal(t, 7, found.Trial)
		require.Equal(t, "score_is", found.Figure)
		_, err = ReadTable(p.names, stored.Bytes()[:len(stored.Bytes())-1])
		require.Error(t, err)
	}
}
