package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/manifest"
	"millrace/ops/program"
)

// eachKind is how many results of each of five kinds are made and reproduced.
const eachKind = 20

// result is one of a hundred: where it was submitted, with what, and what came of it.
type result struct {
	kind, route, body, location string
	manifest                    string
}

// hundred are the requests: a grid, a tpe or a random search that prunes, a run, a walk-forward and a script's tune, each with other
// seeds and spaces. Grids, runs and walk-forwards have stops so narrow that stop and target are often in one bar, and every
// intrabar policy resolves some of them; half of the walk-forwards run over two datasets.
func hundred(script string) (all []result) {
	const gates = `"gates":{"max_drawdown_pct":99,"min_trades":0}`
	const tune, wfo = "/backtests/tune", "/backtests/wfo"
	policies := []backtest.IntrabarPolicy{backtest.PolicyRandom, backtest.PolicyOHLCPath, backtest.PolicyBest, backtest.PolicyWorst}
	for i := range eachKind {
		narrow := fmt.Sprintf(`"stops":{"stop_pct":0.5,"target_pct":0.5},"intrabar_policy":%q`, policies[i%len(policies)])
		data := `"dataset":"walk"`
		if i%4 < 2 {
			data = `"datasets":["walk","late"]`
		}
		search := `"search_type":"tpe"`
		if i%2 == 1 {
			search = `"search_type":"random","pruning":{"type":"halving"}`
		}
		all = append(all,
			result{kind: "grid", route: tune, body: fmt.Sprintf(`{"dataset":"walk","strategy_name":"sma_cross","oos_ratio":0.3,"seed":%d,
				"param_space":{"fast":[%d,8,13],"slow":[21,34,%d]},%s,%s}`, i+1, 2+i%6, 50+i, gates, narrow)},
			result{kind: "search", route: tune, body: fmt.Sprintf(`{"dataset":"walk","strategy_name":"ema_cross",%s,"n_trials":24,"seed":%d,
				"param_space":{"fast":{"low":2,"high":20},"slow":{"low":21,"high":%d}},%s}`, search, i+1, 60+i, gates)},
			result{kind: "run", route: "/backtests/run", body: fmt.Sprintf(`{"dataset":"walk","strategy_name":"donchian_breakout","params":{"entry":%d},
				%s,"seed":%d}`, 10+i, narrow, i+1)},
			result{kind: "walk-forward", route: wfo, body: fmt.Sprintf(`{%s,"strategy_name":"sma_cross","search_type":"random","n_trials":6,"seed":%d,
				"param_space":{"fast":{"low":2,"high":20},"slow":{"low":21,"high":60}},%s,%s,"wfo_config":{"train_days":300,"test_days":120}}`, data, i+1, gates, narrow)},
			result{kind: "script", route: tune, body: fmt.Sprintf(`{"dataset":"walk","strategy_name":%q,"search_type":"random","n_trials":8,"seed":%d,
				"param_space":{"Fast":{"low":2,"high":20},"Slow":{"low":21,"high":60}},%s}`, script, i+1, gates)})
	}
	return all
}

// A hundred results of five kinds have the same bytes when they are made again after every process was stopped, by
// another number of workers, and, with MILLRACE_ARM64 set, by a program for arm64 that qemu runs (`make arm64`).
func TestAHundredResultsAreReproducedAfterARestart(t *testing.T) {
	f := newFleet(t)
	owner, err := pgx.Connect(t.Context(), f.cluster.URL())
	require.NoError(t, err)
	defer func() { _ = owner.Close(t.Context()) }()
	_, err = owner.Exec(t.Context(), `update workspaces set tune_cap = 16, submissions_per_minute = 10000, queue_depth = 100000`)
	require.NoError(t, err)
	api := f.process("api", "--addr", "127.0.0.1:0")
	f.url = "http://" + api.await("addr=")
	worker := f.process("worker", "--queues", "trials:1,tunes:2,wfo:2")
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 900})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	late, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 2, Bars: 800, Start: time.Date(2000, 4, 1, 0, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	csv.Reset()
	require.NoError(t, ohlcv.WriteCSV(&csv, late))
	f.upload("late", csv.Bytes())
	all := hundred(f.storeScript("cross", crossScript("over")).Name)
	for i := range all {
		f.submitResult(&all[i], "first")
	}
	for i := range all {
		f.finished(&all[i])
	}

	for _, p := range []*process{worker, api} {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		_ = p.cmd.Wait()
	}
	api = f.process("api", "--addr", "127.0.0.1:0")
	f.url = "http://" + api.await("addr=")
	ids, files := make([]string, len(all)), make([]string, len(all))
	folder := t.TempDir()
	for i, r := range all {
		ids[i] = r.location[strings.LastIndex(r.location, "/")+1:]
		before := r.manifest
		f.finished(&all[i])
		require.Equal(t, before, all[i].manifest, "the manifest of a %s is another one after a restart", r.kind)
		files[i] = filepath.Join(folder, ids[i]+".zip")
	}
	status, out, errs := f.asWorkspace(f.key, append([]string{"reproduce", "--workers", "3"}, ids...)...)
	require.Zero(t, status, "%s%s", out, errs)
	require.Equal(t, len(all), strings.Count(out, "the same bytes"), out)
	policies := map[string]bool{} // trades of runs that differ in nothing but the policy
	for i := range 4 {
		run := result{kind: "run", route: "/backtests/run", body: strings.Replace(all[2].body, `"random"`, fmt.Sprintf("%q", []string{"random", "ohlc_path", "best", "worst"}[i]), 1)}
		f.submitResult(&run, "policy")
		f.finished(&run)
		policies[found(t, run.manifest)["trades"]] = true
	}
	require.Len(t, policies, 4, "stop and target are in one bar, so that every policy gives other trades")

	// One of each kind again, through a fleet with three slots.
	f.process("worker", "--queues", "trials:3,tunes:2,wfo:2").await("worker ready")
	for _, r := range all[:5] {
		again := r
		f.submitResult(&again, "second")
		require.NotEqual(t, r.location, again.location)
		f.finished(&again)
		require.Equal(t, found(t, r.manifest), found(t, again.manifest), "a %s differs with the number of workers", r.kind)
	}
	if os.Getenv("MILLRACE_ARM64") != "" {
		f.reproduceUnderArm64(ids, files)
	}
}

// submitResult sends a request under a key of its own.
func (f *fleetUnderTest) submitResult(r *result, key string) {
	f.t.Helper()
	status, answer := f.call(http.MethodPost, r.route, "application/json", strings.NewReader(r.body), "X-Idempotency-Key", key+manifest.Sum([]byte(r.body)))
	require.Contains(f.t, []int{http.StatusAccepted, http.StatusCreated}, status, "%s: %s", r.kind, answer)
	var made struct {
		TuneID string `json:"tune_id"`
		WFOID  string `json:"wfo_id"`
		RunID  string `json:"run_id"`
	}
	require.NoError(f.t, json.Unmarshal(answer, &made))
	r.location = map[string]string{"/backtests/tune": "/backtests/tunes/", "/backtests/wfo": "/backtests/wfo/", "/backtests/run": "/backtests/runs/"}[r.route] +
		made.TuneID + made.WFOID + made.RunID
}

// finished waits for the result's manifest, which is written at its end.
func (f *fleetUnderTest) finished(r *result) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		status, answer := f.call(http.MethodGet, r.location+"/manifest", "", nil)
		r.manifest = string(answer)
		return status == http.StatusOK
	}, 4*time.Minute, 50*time.Millisecond, "%s %s: %s", r.kind, r.location, &r.manifest)
}

// found is the hashes of what a result found.
func found(t *testing.T, body string) map[string]string {
	t.Helper()
	var m struct {
		Result struct{ Parts map[string]string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &m))
	require.NotEmpty(t, m.Result.Parts)
	return m.Result.Parts
}

// reproduceUnderArm64 makes the results again of their files, by a program for arm64.
func (f *fleetUnderTest) reproduceUnderArm64(ids, files []string) {
	f.t.Helper()
	qemu := program.Find(f.t, "qemu-user", "qemu-aarch64", "qemu-aarch64-static")
	binary := filepath.Join(f.t.TempDir(), "millrace-arm64")
	build := exec.CommandContext(f.t.Context(), "go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	out, err := build.CombinedOutput()
	require.NoError(f.t, err, string(out))
	for i, id := range ids {
		status, _, errs := f.asWorkspace(f.key, "export", id, files[i])
		require.Zero(f.t, status, errs)
	}
	same := 0
	for some := range slices.Chunk(files, 20) {
		out, err := exec.CommandContext(f.t.Context(), qemu, append([]string{binary, "reproduce"}, some...)...).CombinedOutput()
		require.NoError(f.t, err, string(out))
		same += strings.Count(string(out), "the same bytes")
	}
	require.Equal(f.t, len(ids), same)
	f.t.Logf("%d results have the same bytes under arm64", same)
}
