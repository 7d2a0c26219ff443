package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/migrations"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// fleetUnderTest is a database of its own, an API process and any number of worker processes, as
// they would be deployed.
type fleetUnderTest struct {
	t       testing.TB
	binary  string
	data    string
	cluster *localpg.Cluster
	url     string // of the API
	key     string
}

func startFleet(t testing.TB) *fleetUnderTest {
	t.Helper()
	f := newFleet(t)
	api := f.process("api", "--addr", "127.0.0.1:0")
	f.url = "http://" + api.await("addr=")
	return f
}

// newFleet is a fleet without any process yet.
func newFleet(t testing.TB) *fleetUnderTest {
	t.Helper()
	f := &fleetUnderTest{t: t, binary: filepath.Join(t.TempDir(), "millrace"), data: filepath.Join(t.TempDir(), "pg")}
	out, err := exec.Command("go", "build", "-o", f.binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	f.startDatabase()
	t.Cleanup(func() { _ = f.cluster.Stop(context.Background()) })
	require.NoError(t, migrations.Up(t.Context(), f.cluster.URL()))

	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: f.cluster.URL(), MaxConns: 2})
	require.NoError(t, err)
	defer pool.Close()
	st := stores.New(pool, nil)
	workspace, err := st.Tenants.CreateWorkspace(t.Context(), "e2e", 2)
	require.NoError(t, err)
	f.key, err = st.Tenants.CreateKey(t.Context(), workspace.ID, "e2e", tenants.RoleOwner)
	require.NoError(t, err)
	return f
}

func (f *fleetUnderTest) startDatabase() {
	f.t.Helper()
	cluster, err := localpg.Start(f.t.Context(), localpg.Options{DataDir: f.data})
	require.NoError(f.t, err)
	f.cluster = cluster
}

// process is one child of the test.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	log *lockedBuffer
}

func (f *fleetUnderTest) process(args ...string) *process {
	f.t.Helper()
	p := &process{t: f.t, cmd: exec.Command(f.binary, args...), log: &lockedBuffer{}}
	p.cmd.Env = append(os.Environ(), "DATABASE_URL="+f.cluster.URL(), "MILLRACE_SHARD_TIME=250ms")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(f.t, p.cmd.Start())
	f.t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		if f.t.Failed() {
			f.t.Logf("%v:\n%s", args, p.log.String())
		}
	})
	return p
}

// await waits for the log to hold the marker, and returns the word after it.
func (p *process) await(marker string) string {
	p.t.Helper()
	var word string
	require.Eventually(p.t, func() bool {
		_, after, ok := strings.Cut(p.log.String(), marker)
		word, _, _ = strings.Cut(after, "\n")
		return ok
	}, 20*time.Second, 20*time.Millisecond, "%s", p.log)
	return strings.TrimSpace(word)
}

// lockedBuffer is written by a process's pipe and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// call makes a request and returns status and body; a connection error is status 0.
func (f *fleetUnderTest) call(method, path, contentType string, body io.Reader, headers ...string) (int, []byte) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, body)
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer "+f.key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

func (f *fleetUnderTest) upload(name string, csv []byte) { f.uploadOf(name, name, csv) }

// uploadOf stores bars of a symbol.
func (f *fleetUnderTest) uploadOf(name, symbol string, csv []byte) {
	f.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": name, "symbol": symbol, "time_range": "any"} {
		require.NoError(f.t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", name+".csv")
	require.NoError(f.t, err)
	_, err = part.Write(csv)
	require.NoError(f.t, err)
	require.NoError(f.t, form.Close())
	status, answer := f.call(http.MethodPost, "/datasets", form.FormDataContentType(), &body)
	require.Equal(f.t, http.StatusCreated, status, string(answer))
}

type tuneBytes struct {
	TuneID          string          `json:"tune_id"`
	Status          string          `json:"status"`
	TrialsCompleted int             `json:"trials_completed"`
	Error           *string         `json:"error"`
	Counts          map[string]int  `json:"counts"`
	Leaderboard     json.RawMessage `json:"leaderboard"`
	Overfit         json.RawMessage `json:"overfit"`
	Evidence        json.RawMessage `json:"evidence"`
}

func (f *fleetUnderTest) submit(key, body string) tuneBytes {
	f.t.Helper()
	status, answer := f.call(http.MethodPost, "/backtests/tune", "application/json", strings.NewReader(body), "X-Idempotency-Key", key)
	require.Equal(f.t, http.StatusAccepted, status, string(answer))
	var tune tuneBytes
	require.NoError(f.t, json.Unmarshal(answer, &tune))
	return tune
}

// wait polls the tune until done holds; the database may be away meanwhile.
func (f *fleetUnderTest) wait(id string, done func(tuneBytes) bool) tuneBytes {
	f.t.Helper()
	var tune tuneBytes
	require.Eventually(f.t, func() bool {
		status, answer := f.call(http.MethodGet, "/backtests/tunes/"+id+"?leaderboard=1000", "", nil)
		return status == http.StatusOK && json.Unmarshal(answer, &tune) == nil && done(tune)
	}, 2*time.Minute, 50*time.Millisecond, "%+v", &tune)
	return tune
}

func ended(tune tuneBytes) bool { return tune.Status != "queued" && tune.Status != "running" }

// A tune of 20,000 trials loses one of its two workers to SIGKILL and its database to a restart,
// and ends with every trial once and the bytes of an undisturbed run.
func TestATuneSurvivesAKilledWorkerAndARestartedDatabase(t *testing.T) {
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 7, Bars: 60_000, Interval: time.Hour})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	doomed := f.process("worker", "--queues", "trials:1,tunes:1")
	survivor := f.process("worker", "--queues", "trials:1,tunes:1,maintenance:1")
	doomed.await("worker ready")
	survivor.await("worker ready")

	const body = `{"dataset":"walk","strategy_name":"sma_cross","oos_ratio":0.3,
		"param_space":{"fast":{"low":2,"high":101},"slow":{"low":102,"high":301}},
		"gates":{"max_drawdown_pct":95,"min_trades":1},"constraints":["fast < slow"]}`
	tune := f.submit("disturbed", body)
	f.wait(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted > 3000 })
	require.NoError(t, doomed.cmd.Process.Kill())
	f.wait(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted > 8000 })
	require.NoError(t, f.cluster.Stop(t.Context()))
	f.startDatabase()
	disturbed := f.wait(tune.TuneID, ended)
	require.Equal(t, "completed", disturbed.Status, "%v", disturbed.Error)
	require.Equal(t, 20_000, disturbed.TrialsCompleted)
	require.Equal(t, 20_000, disturbed.Counts["completed"]+disturbed.Counts["skipped"])
	require.Equal(t, 20_000, f.countTrials(tune.TuneID))
	require.Greater(t, len(disturbed.Leaderboard), 1000, "an empty leaderboard compares too easily")

	again := f.submit("undisturbed", body)
	require.NotEqual(t, tune.TuneID, again.TuneID)
	undisturbed := f.wait(again.TuneID, ended)
	require.Equal(t, "completed", undisturbed.Status, "%v", undisturbed.Error)
	require.Equal(t, string(undisturbed.Leaderboard), string(disturbed.Leaderboard))
	require.Equal(t, string(undisturbed.Overfit), string(disturbed.Overfit))
}

// countTrials pages through all trials and checks that each index comes once, in order.
func (f *fleetUnderTest) countTrials(id string) int {
	f.t.Helper()
	count, cursor := 0, ""
	for {
		status, answer := f.call(http.MethodGet, fmt.Sprintf("/backtests/tunes/%s/trials?limit=1000&cursor=%s", id, cursor), "", nil)
		require.Equal(f.t, http.StatusOK, status, string(answer))
		var page types.List[types.Trial]
		require.NoError(f.t, json.Unmarshal(answer, &page))
		for _, trial := range page.Items {
			require.Equal(f.t, count, trial.Index)
			count++
		}
		if page.NextCursor == nil {
			return count
		}
		cursor = *page.NextCursor
	}
}

// Canceling frees the worker within a second: its slot then completes another tune.
func TestCancelStopsRunningWork(t *testing.T) {
	f := startFleet(t)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 3, Bars: 400_000, Interval: time.Hour})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("long", csv.Bytes())
	f.process("worker", "--queues", "trials:1,tunes:1").await("worker ready")
	tune := f.submit("long", `{"dataset":"long","strategy_name":"sma_cross",
		"param_space":{"fast":{"low":2,"high":101},"slow":{"low":102,"high":301}}}`)
	f.wait(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted > 0 })
	status, answer := f.call(http.MethodPost, "/backtests/tunes/"+tune.TuneID+"/cancel", "", nil)
	require.Equal(t, http.StatusOK, status, string(answer))
	canceled := time.Now()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: f.cluster.URL(), MaxConns: 2})
	require.NoError(t, err)
	defer pool.Close()
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from river_job where kind like 'tune.%' and finalized_at is null`).Scan(&open))
		return open == 0
	}, 10*time.Second, 10*time.Millisecond)
	t.Logf("all jobs ended %s after the cancel", time.Since(canceled))
	status, _ = f.call(http.MethodPost, "/backtests/tunes/"+tune.TuneID+"/cancel", "", nil)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "canceled", f.wait(tune.TuneID, ended).Status)
}
