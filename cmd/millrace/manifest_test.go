package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// asWorkspace runs a verb with a key of the fleet.
func (f *fleetUnderTest) asWorkspace(key string, args ...string) (status int, stdout, stderr string) {
	f.t.Helper()
	var out, errs bytes.Buffer
	status = run(f.t.Context(), append(args, "--url", f.url, "--api-key", key), &out, &errs)
	return status, out.String(), errs.String()
}

// elsewhere is the key of another workspace, which has nothing of the first.
func (f *fleetUnderTest) elsewhere() string {
	f.t.Helper()
	pool, err := store.OpenPool(f.t.Context(), store.PoolOptions{DatabaseURL: f.cluster.URL(), MaxConns: 2})
	require.NoError(f.t, err)
	defer pool.Close()
	st := stores.New(pool, nil)
	workspace, err := st.Tenants.CreateWorkspace(f.t.Context(), "elsewhere", 2)
	require.NoError(f.t, err)
	key, err := st.Tenants.CreateKey(f.t.Context(), workspace.ID, "elsewhere", tenants.RoleOwner)
	require.NoError(f.t, err)
	return key
}

// A tune and a run are made again from the server and from their file, and by another workspace from the
// file alone; a file with one byte changed is refused.
func TestAResultIsReproducedExportedAndImported(t *testing.T) {
	f := startFleet(t)
	f.process("worker")
	ids := []string{f.finishedTune().TuneID}
	status, answer := f.call(http.MethodPost, "/backtests/run", "application/json",
		strings.NewReader(`{"dataset":"walk","strategy_name":"sma_cross","params":{"fast":5,"slow":20}}`), "X-Idempotency-Key", "one")
	require.Contains(t, []int{http.StatusOK, http.StatusCreated}, status, string(answer))
	var made struct {
		RunID string `json:"run_id"`
	}
	require.NoError(t, json.Unmarshal(answer, &made))
	ids = append(ids, made.RunID)
	other := f.elsewhere()

	for _, id := range ids {
		file := filepath.Join(t.TempDir(), "result.zip")
		for _, args := range [][]string{{"manifest", id}, {"reproduce", id}, {"export", id, file}, {"reproduce", file}} {
			status, out, errs := f.asWorkspace(f.key, args...)
			require.Zero(t, status, "%v: %s", args, errs)
			if args[0] == "reproduce" {
				require.Contains(t, out, "the same bytes")
			}
		}
		status, _, errs := f.asWorkspace(other, "manifest", id)
		require.Equal(t, 1, status, "another workspace reads the manifest")
		require.Contains(t, errs, "404")

		status, out, errs := f.asWorkspace(other, "import", file)
		require.Zero(t, status, errs)
		require.Contains(t, out, "the same bytes as in the file")
		status, _, errs = f.asWorkspace(other, "reproduce", strings.Fields(out)[1])
		require.Zero(t, status, errs)

		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		raw[len(raw)/2] ^= 1
		require.NoError(t, os.WriteFile(file, raw, 0o600))
		for _, verb := range []string{"reproduce", "import"} {
			status, _, errs := f.asWorkspace(other, verb, file)
			require.Equal(t, 1, status, "%s takes a file with a changed byte", verb)
			require.NotEmpty(t, errs)
		}
	}
	f.growsByTheCommandLine()
}

// growsByTheCommandLine appends to the dataset of a tune, writes it again and describes it otherwise.
func (f *fleetUnderTest) growsByTheCommandLine() {
	f.t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 620})
	require.NoError(f.t, err)
	file := func(name string, bars *backtest.Bars) string {
		var csv bytes.Buffer
		require.NoError(f.t, ohlcv.WriteCSV(&csv, bars))
		path := filepath.Join(f.t.TempDir(), name)
		require.NoError(f.t, os.WriteFile(path, csv.Bytes(), 0o600))
		return path
	}
	grown := file("grown.csv", bars.Slice(590, 620))
	other, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 2, Bars: 620})
	require.NoError(f.t, err)
	for _, step := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{"append", "walk", grown}, 0, []string{"walk version 2  620 bars, 20 of them new"}},
		{[]string{"append", "walk", grown}, 0, []string{"walk version 2 has these bars already"}},
		{[]string{"append", "walk", file("other.csv", other.Slice(590, 620))}, 1, []string{"409"}},
		{[]string{"append", "walk", "--rewrite", file("all.csv", other)}, 0, []string{"walk version 3", "rewritten: ", "stale: 1 tune, 0 walk-forwards, 1 run of earlier versions"}},
		{[]string{"describe", "walk", "--currency", "USD"}, 0, []string{"walk version 4"}},
		{[]string{"versions", "walk"}, 0, []string{"attributes", "rewrite", "append", "2 stale"}},
		{[]string{"list"}, 0, []string{"walk  4"}},
	} {
		status, out, errs := f.asWorkspace(f.key, append([]string{"data"}, step.args...)...)
		require.Equal(f.t, step.status, status, "%v: %s %s", step.args, out, errs)
		for _, says := range step.says {
			require.Contains(f.t, out+errs, says, step.args)
		}
	}
}
