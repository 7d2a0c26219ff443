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
}
