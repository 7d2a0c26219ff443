//go:build scale

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
)

// statefulScript keeps variables from bar to bar and moves its stop: class P.
const statefulScript = `//@version=6
strategy("Trail")
fast = input.int(10, "Fast", minval=2, maxval=801)
slow = input.int(900, "Slow", minval=802, maxval=2051)
range = ta.atr(14)
var float best = na
var int held = 0
if strategy.position_size == 0
    best := na
    held := 0
if strategy.position_size > 0
    best := math.max(nz(best, high), high)
    held += 1
    if close < best - 2 * range or held > 50
        strategy.close("L")
    strategy.exit("X", "L", stop=strategy.position_avg_price - 3 * range)
if ta.crossover(ta.ema(close, fast), ta.ema(close, slow)) and strategy.position_size == 0
    strategy.entry("L", strategy.long)
`

// TestAMillionTrialsOfAScript is TestAMillionTrials for a script that keeps state from bar to bar; it has no aim
// for time. MILLRACE_SCALE_TRIALS runs fewer.
func TestAMillionTrialsOfAScript(t *testing.T) {
	trials := 1_000_000
	if text := os.Getenv("MILLRACE_SCALE_TRIALS"); text != "" {
		var err error
		trials, err = strconv.Atoi(text)
		require.NoError(t, err)
		require.Zero(t, trials%800, "the grid has 800 values of one input")
	}
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 5, Bars: 4000})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	worker := f.process("worker", "--queues", "trials:2,tunes:1,maintenance:1")
	worker.await("worker ready")
	require.Equal(t, "P", f.storeScript("trail", statefulScript).Class)

	start := time.Now()
	tune := f.submit("million", fmt.Sprintf(`{"dataset":"walk","strategy_name":"pine:trail","oos_ratio":0.3,
		"param_space":{"Fast":{"low":2,"high":801},"Slow":{"low":802,"high":%d}},
		"gates":{"max_drawdown_pct":95,"min_trades":1}}`, 801+trials/800))
	done := f.waitLong(tune.TuneID, ended)
	took := time.Since(start)
	require.Equal(t, "completed", done.Status, "%v", done.Error)
	require.Equal(t, trials, done.TrialsCompleted)
	peak := peakMemory(t, worker)
	report(fmt.Sprintf("%d trials of a stateful script over 4,000 daily bars, split 70:30; one worker, two slots", trials), "")
	report("submission to leaderboard", fmt.Sprintf("%s, %.0f trials/s", took.Round(time.Millisecond), float64(trials)/took.Seconds()))
	report("worker, peak resident memory", fmt.Sprintf("%d MB", peak>>20))
	require.LessOrEqual(t, peak, int64(512<<20))
}
