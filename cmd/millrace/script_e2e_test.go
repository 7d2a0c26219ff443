package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

// crossScript is a script whose trades depend on the cross that it waits for.
func crossScript(way string) string {
	return fmt.Sprintf(`//@version=6
strategy("Cross", initial_capital=20000, default_qty_type=strategy.percent_of_equity, default_qty_value=100)
fast = input.int(10, "Fast", minval=1, maxval=400)
slow = input.int(50, "Slow", minval=2, maxval=800)
a = ta.sma(close, fast)
b = ta.sma(close, slow)
if ta.cross%s(a, b)
    strategy.entry("L", strategy.long)
    strategy.exit("X", "L", stop=close * 0.97, limit=close * 1.05)
`, way)
}

func (f *fleetUnderTest) storeScript(name, source string) types.Strategy {
	f.t.Helper()
	body, err := json.Marshal(types.StrategyRequest{Name: name, Source: source})
	require.NoError(f.t, err)
	status, answer := f.call(http.MethodPost, "/strategies", "application/json", bytes.NewReader(body))
	require.Equal(f.t, http.StatusCreated, status, string(answer))
	var made types.Strategy
	require.NoError(f.t, json.Unmarshal(answer, &made))
	return made
}

// The only worker is killed in the middle of a script's tune, and the script gets another version before a
// worker is there again. The tune ends with the bytes of an undisturbed one of the version that it named
// first; so does a walk-forward that was submitted before.
func TestATuneOfAScriptSurvivesAKilledWorkerAndAnEditedScript(t *testing.T) {
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 7, Bars: 20_000, Interval: time.Hour})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	first := f.storeScript("cross", crossScript("over"))
	require.Equal(t, "pine:cross@1", first.Name)
	const queues = "trials:2,tunes:1,wfo:1,maintenance:1"
	doomed := f.process("worker", "--queues", queues)
	doomed.await("worker ready")

	of := func(body, name string) string { return strings.Replace(body, "NAME", name, 1) }
	const tuneBody = `{"dataset":"walk","strategy_name":"NAME","oos_ratio":0.3,
		"param_space":{"Fast":{"low":2,"high":61},"Slow":{"low":62,"high":161}},"gates":{"max_drawdown_pct":95,"min_trades":1}}`
	const walkBody = `{"dataset":"walk","strategy_name":"NAME","param_space":{"Fast":{"low":5,"high":20,"step":5},"Slow":[40,80]},
		"gates":{"max_drawdown_pct":95,"min_trades":1},"wfo_config":{"train_days":240,"test_days":120}}`
	tune := f.submit("disturbed", of(tuneBody, "pine:cross"))
	walk := f.submitWFO("disturbed walk", of(walkBody, "pine:cross"))
	f.wait(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted > 300 })
	require.NoError(t, doomed.cmd.Process.Kill())
	second := f.storeScript("cross", crossScript("under"))
	require.Equal(t, "pine:cross@2", second.Name)
	f.process("worker", "--queues", queues).await("worker ready")

	disturbed := f.wait(tune.TuneID, ended)
	require.Equal(t, "completed", disturbed.Status, "%v", disturbed.Error)
	require.Equal(t, 6000, disturbed.TrialsCompleted)
	require.Equal(t, 6000, f.countTrials(tune.TuneID))
	require.Greater(t, len(disturbed.Leaderboard), 1000, "an empty leaderboard compares too easily")
	walked := f.waitWFO(walk.ID, wfoEnded)
	require.Equal(t, "completed", walked.Status, "%v", walked.Error)
	require.Positive(t, walked.NCandidates)
	require.NotEmpty(t, walked.curve)

	undisturbed := f.wait(f.submit("undisturbed", of(tuneBody, "pine:cross@1")).TuneID, ended)
	require.Equal(t, string(undisturbed.Leaderboard), string(disturbed.Leaderboard))
	require.Equal(t, string(undisturbed.Overfit), string(disturbed.Overfit))
	calm := f.waitWFO(f.submitWFO("undisturbed walk", of(walkBody, "pine:cross@1")).ID, wfoEnded)
	require.Equal(t, string(calm.Candidates), string(walked.Candidates))
	require.Equal(t, string(calm.OOS), string(walked.OOS))
	require.Equal(t, string(calm.curve), string(walked.curve))

	// The version after it is another strategy: a tune that had taken it would not be the same.
	latest := f.waitWFO(f.submitWFO("latest", of(walkBody, "pine:cross")).ID, wfoEnded)
	require.NotEqual(t, string(latest.Candidates), string(walked.Candidates))
}

// costlyScript takes some seconds to examine.
const costlyScript = `//@version=6
strategy("Costly")
n = input.int(10, "N", minval=1, maxval=20)
a = array.new_float(0)
for i = 0 to 300
    a.push(math.sin(bar_index * i))
for i = 0 to 1
    a.sort()
    a.reverse()
if a.first() > 0 and ta.crossover(close, ta.sma(close, n))
    strategy.entry("L", strategy.long)
`

// The only worker is killed while it examines a script. The version does not stay checking: the next worker
// examines it.
func TestAScriptWhoseWorkerIsKilledIsExaminedByTheNext(t *testing.T) {
	f := startFleet(t)
	const queues = "trials:1,maintenance:1"
	doomed := f.process("worker", "--queues", queues)
	doomed.await("worker ready")
	made := f.storeScript("costly", costlyScript)
	require.EqualValues(t, "checking", made.Status)
	status := func() types.Strategy {
		code, answer := f.call(http.MethodGet, "/strategies/"+made.StrategyID, "", nil)
		require.Equal(t, http.StatusOK, code, string(answer))
		var script types.Strategy
		require.NoError(t, json.Unmarshal(answer, &script))
		return script
	}
	owner, err := pgx.Connect(t.Context(), f.cluster.URL())
	require.NoError(t, err)
	defer func() { _ = owner.Close(t.Context()) }()
	jobs := func(where string) (n int) {
		require.NoError(t, owner.QueryRow(t.Context(), `select count(*) from river_job where kind = 'strategy.check' and `+where).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return jobs(`state = 'running'`) == 1 }, time.Minute, 5*time.Millisecond)
	require.NoError(t, doomed.cmd.Process.Kill())
	require.EqualValues(t, "checking", status().Status, "the worker was killed in the middle")
	f.process("worker", "--queues", queues).await("worker ready")
	require.Eventually(t, func() bool { return status().Status != "checking" }, 2*time.Minute, 100*time.Millisecond)
	require.EqualValues(t, "ready", status().Status, "%+v", status().Examination)
	require.Equal(t, 1, jobs(`state = 'completed' and attempt > 1`))
}
