//go:build scale

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

// million is a grid of sma_cross with 800 · 1,250 points.
const million = `{"dataset":"walk","strategy_name":"sma_cross","oos_ratio":0.3,
	"param_space":{"fast":{"low":2,"high":801},"slow":{"low":802,"high":2051}},
	"gates":{"max_drawdown_pct":95,"min_trades":1}}`

// TestAMillionTrials runs 1,000,000 trials of sma_cross over 4,000 synthetic daily bars, split 70:30,
// through the API and one worker process of two slots, beside their Postgres on this machine. Then it
// pages through all trials, runs the tune again and cancels that. It prints what was measured and
// fails where the product's aims are missed.
func TestAMillionTrials(t *testing.T) {
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 5, Bars: 4000})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	worker := f.process("worker", "--queues", "trials:2,tunes:1,maintenance:1")
	worker.await("worker ready")
	owner, err := pgx.Connect(t.Context(), f.cluster.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Close(context.Background())) }()

	start := time.Now()
	tune := f.submit("million", million)
	done := f.waitLong(tune.TuneID, ended)
	took := time.Since(start)
	require.Equal(t, "completed", done.Status, "%v", done.Error)
	require.Equal(t, 1_000_000, done.TrialsCompleted)
	peak := peakMemory(t, worker)
	stored := storedBytes(t, owner, tune.TuneID)
	report("1,000,000 trials of sma_cross over 4,000 daily bars, split 70:30; one worker, two slots", "")
	report("submission to leaderboard", fmt.Sprintf("%s, %.0f trials/s", took.Round(time.Millisecond), 1e6/took.Seconds()))
	report("stored", fmt.Sprintf("%.1f bytes a trial", float64(stored)/1e6))
	report("worker, peak resident memory", fmt.Sprintf("%d MB", peak>>20))
	require.LessOrEqual(t, stored, int64(200*1_000_000))
	require.LessOrEqual(t, peak, int64(512<<20))

	for _, sort := range []string{"index", "score"} {
		first, last, worst := f.pageThrough(tune.TuneID, sort)
		report("pages of 1,000 by "+sort, fmt.Sprintf("median of the first 50 %s, of the last 50 %s, longest of all %s", first, last, worst))
		require.Less(t, last, 3*first+20*time.Millisecond, "a late page takes longer than an early one")
	}
	f.cancelInFlight(owner)
}

func report(what, figure string) { fmt.Printf("%-60s %s\n", what, figure) }

func (f *fleetUnderTest) waitLong(id string, done func(tuneBytes) bool) (tune tuneBytes) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		status, answer := f.call(http.MethodGet, "/backtests/tunes/"+id+"?leaderboard=0", "", nil)
		return status == http.StatusOK && json.Unmarshal(answer, &tune) == nil && done(tune)
	}, 30*time.Minute, 20*time.Millisecond)
	return tune
}

// peakMemory is the most resident memory that a process has had, in bytes.
func peakMemory(t *testing.T, p *process) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(status), "VmHWM:")
	require.True(t, found)
	kb, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	require.NoError(t, err)
	return kb << 10
}

// storedBytes is what the rows of a tune take: its trials, their ranking, and the leaderboard.
func storedBytes(t *testing.T, owner *pgx.Conn, id string) (bytes int64) {
	require.NoError(t, owner.QueryRow(t.Context(), `
		select (select sum(pg_column_size(s.*)) from tune_shards s where tune_id = $1)
		     + (select pg_column_size(t.*) + coalesce(pg_column_size(t.ranking), 0) from tunes t where id = $1)
		     + (select coalesce(sum(pg_column_size(l.*)), 0) from tune_leaderboard l where tune_id = $1)`, id).Scan(&bytes))
	return bytes
}

// pageThrough reads every page of a tune's trials.
func (f *fleetUnderTest) pageThrough(id, sort string) (first, last, worst time.Duration) {
	f.t.Helper()
	var took []time.Duration
	cursor, count := "", 0
	seen := make([]bool, 1_000_000)
	for {
		var page types.List[types.Trial]
		start := time.Now()
		status, answer := f.call(http.MethodGet, "/backtests/tunes/"+id+"/trials?limit=1000&sort="+sort+"&cursor="+cursor, "", nil)
		took = append(took, time.Since(start))
		require.Equal(f.t, http.StatusOK, status, string(answer))
		require.NoError(f.t, json.Unmarshal(answer, &page))
		for _, trial := range page.Items {
			require.False(f.t, seen[trial.Index], "trial %d is there twice", trial.Index)
			seen[trial.Index] = true
			count++
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	require.Equal(f.t, 1_000_000, count)
	median := func(d []time.Duration) time.Duration {
		d = slices.Sorted(slices.Values(d))
		return d[len(d)/2].Round(10 * time.Microsecond)
	}
	return median(took[:50]), median(took[len(took)-50:]), slices.Max(took).Round(10 * time.Microsecond)
}

// cancelInFlight cancels a tune of a million trials in its middle and waits for the slots to be free.
func (f *fleetUnderTest) cancelInFlight(owner *pgx.Conn) {
	f.t.Helper()
	tune := f.submit("cancel", strings.Replace(million, `"oos_ratio":0.3`, `"oos_ratio":0.4`, 1))
	f.waitLong(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted > 50_000 })
	start := time.Now()
	status, answer := f.call(http.MethodPost, "/backtests/tunes/"+tune.TuneID+"/cancel", "", nil)
	answered := time.Since(start)
	require.Equal(f.t, http.StatusOK, status, string(answer))
	require.Eventually(f.t, func() bool {
		var open int
		err := owner.QueryRow(f.t.Context(), `
			select count(*) from river_job where kind like 'tune.%' and state in ('available', 'running', 'retryable', 'scheduled', 'pending')`).Scan(&open)
		return err == nil && open == 0
	}, time.Minute, 5*time.Millisecond)
	freed := time.Since(start)
	report("cancel", fmt.Sprintf("answered in %s, the last job gone in %s", answered.Round(time.Millisecond), freed.Round(time.Millisecond)))
	require.Less(f.t, freed, time.Second)
}
