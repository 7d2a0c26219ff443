package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
)

// wfoBytes are a walk-forward's results as they come over the wire.
type wfoBytes struct {
	ID          string          `json:"wfo_id"`
	Status      string          `json:"status"`
	Error       *string         `json:"error"`
	NFolds      int             `json:"n_folds"`
	Done        int             `json:"trials_completed"`
	NCandidates int             `json:"n_candidates"`
	Candidates  json.RawMessage `json:"candidates"`
	BestParams  json.RawMessage `json:"best_params"`
	OOS         json.RawMessage `json:"oos"`
	Efficiency  json.RawMessage `json:"walk_forward_efficiency"`
	Folds       []struct {
		Params     json.RawMessage `json:"params"`
		ScoreIS    json.RawMessage `json:"score_is"`
		MetricsOOS json.RawMessage `json:"metrics_oos"`
	} `json:"folds"`
	curve []byte
}

func (f *fleetUnderTest) submitWFO(key, body string) wfoBytes {
	f.t.Helper()
	status, answer := f.call(http.MethodPost, "/backtests/wfo", "application/json", strings.NewReader(body), "X-Idempotency-Key", key)
	require.Equal(f.t, http.StatusAccepted, status, string(answer))
	var wfo wfoBytes
	require.NoError(f.t, json.Unmarshal(answer, &wfo))
	return wfo
}

func (f *fleetUnderTest) waitWFO(id string, done func(wfoBytes) bool) wfoBytes {
	f.t.Helper()
	var wfo wfoBytes
	require.Eventually(f.t, func() bool {
		wfo = wfoBytes{}
		status, answer := f.call(http.MethodGet, "/backtests/wfo/"+id+"?candidates=1000", "", nil)
		return status == http.StatusOK && json.Unmarshal(answer, &wfo) == nil && done(wfo)
	}, 3*time.Minute, 50*time.Millisecond, "%+v", &wfo)
	status, answer := f.call(http.MethodGet, "/backtests/wfo/"+id+"/equity?format=csv", "", nil)
	require.Equal(f.t, http.StatusOK, status)
	wfo.curve = answer
	return wfo
}

func wfoEnded(w wfoBytes) bool { return w.Status != "pending" && w.Status != "running" }

// The walk-forward of 8 folds × 5,000 trials on 5 years of hourly bars.
const eightFolds = `{"dataset":"walk","strategy_name":"sma_cross",
	"param_space":{"fast":{"low":2,"high":51},"slow":{"low":60,"high":159}},
	"gates":{"max_drawdown_pct":95,"min_trades":1},
	"wfo_config":{"train_days":365,"test_days":182}}`

// A walk-forward loses one of its two workers to SIGKILL and ends with the bytes of an undisturbed
// run; the survivor has one slot of each queue.
func TestAWalkForwardSurvivesAKilledWorker(t *testing.T) {
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 11, Bars: 5 * 365 * 24, Interval: time.Hour})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	doomed := f.process("worker", "--queues", "trials:1,tunes:1,wfo:1")
	survivor := f.process("worker", "--queues", "trials:1,tunes:1,wfo:1,maintenance:1")
	doomed.await("worker ready")
	survivor.await("worker ready")

	wfo := f.submitWFO("disturbed", eightFolds)
	require.Equal(t, 8, wfo.NFolds)
	f.waitWFO(wfo.ID, func(w wfoBytes) bool { return w.Done > 12_000 })
	require.NoError(t, doomed.cmd.Process.Kill())
	start := time.Now()
	disturbed := f.waitWFO(wfo.ID, wfoEnded)
	require.Equal(t, "completed", disturbed.Status, "%v", disturbed.Error)
	require.Equal(t, 40_000, disturbed.Done)
	require.Greater(t, disturbed.NCandidates, 10, "few candidates compare too easily")
	require.Greater(t, len(disturbed.curve), 100_000)
	t.Logf("ended %s after the kill", time.Since(start).Round(time.Millisecond))

	start = time.Now()
	again := f.submitWFO("undisturbed", eightFolds)
	require.NotEqual(t, wfo.ID, again.ID)
	undisturbed := f.waitWFO(again.ID, wfoEnded)
	t.Logf("undisturbed on one worker: %s", time.Since(start).Round(time.Millisecond))
	undisturbed.ID = disturbed.ID
	require.Equal(t, string(undisturbed.curve), string(disturbed.curve))
	require.Equal(t, string(undisturbed.Candidates), string(disturbed.Candidates))
	require.Equal(t, undisturbed, disturbed)
}
