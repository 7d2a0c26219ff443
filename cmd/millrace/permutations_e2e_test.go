package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
)

// The only worker is killed while permutations run; another one ends the tune with the bytes of an
// undisturbed run, each permutation counted once.
func TestPermutationsSurviveAKilledWorker(t *testing.T) {
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 7, Bars: 5000, Interval: 24 * time.Hour})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	const body = `{"dataset":"walk","strategy_name":"sma_cross","oos_ratio":0.3,"evidence":{"permutations":200},
		"param_space":{"fast":{"low":2,"high":21},"slow":{"low":22,"high":71}},"gates":{"max_drawdown_pct":100,"min_trades":1}}`
	const queues = "trials:2,tunes:1,maintenance:1"
	doomed := f.process("worker", "--queues", queues)
	doomed.await("worker ready")
	tune := f.submit("disturbed", body)
	f.wait(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted == 1000 && s.Status == "running" })
	require.NoError(t, doomed.cmd.Process.Kill())
	f.process("worker", "--queues", queues).await("worker ready")

	disturbed := f.wait(tune.TuneID, ended)
	require.Equal(t, "completed", disturbed.Status, "%v", disturbed.Error)
	require.Equal(t, 1000, disturbed.TrialsCompleted)
	require.Contains(t, string(disturbed.Evidence), `"permutations":200`)
	undisturbed := f.wait(f.submit("undisturbed", body).TuneID, ended)
	require.Equal(t, string(undisturbed.Evidence), string(disturbed.Evidence))
	require.Equal(t, string(undisturbed.Leaderboard), string(disturbed.Leaderboard))
}
