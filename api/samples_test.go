package api_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/ops/program"
)

// sampleOrder is what has to be there before an example can run on it.
var sampleOrder = []string{
	"POST /datasets", "POST /strategies", "POST /admin/workspaces", "POST /backtests/run", "POST /backtests/tune", "POST /backtests/wfo", "POST /run-plans", "POST /admin/retention/prune/{job}",
	"POST /schedules", "POST /workspace/keys", "POST /admin/tokens", "POST /admin/workspaces/{id}/keys", "POST /admin/workspaces/{id}/reembed", "POST /ingest", "POST /webhooks", "POST /webhooks/{id}/test",
}

// Every example of the API's document runs as it is copied, and answers with the status that the
// document promises.
func TestTheDocumentsExamplesRun(t *testing.T) {
	program.Find(t, "curl", "curl")
	r := newLibrary(t).fixture.withSample()
	var doc struct {
		Paths map[string]map[string]struct {
			Samples   []struct{ Source string } `json:"x-codeSamples"`
			Responses map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(r.do(http.MethodGet, "/docs/openapi.json", "").body, &doc))
	shell := newSampleShell(t, r)
	ran := map[string]bool{}
	run := func(method, path string) {
		op := doc.Paths[path][strings.ToLower(method)]
		name := method + " " + path
		if ran[name] {
			return
		}
		ran[name] = true
		require.NotEmpty(t, op.Samples, name)
		done := "" // beside it there may be the 200 of a dry run
		for status := range op.Responses {
			if strings.HasPrefix(status, "2") {
				done = max(done, status)
			}
		}
		shell.run(name, op.Samples[0].Source, done)
	}
	ids := func(what, member string, a answer) string {
		found := into[map[string]any](t, a)
		if items, ok := found["items"].([]any); ok {
			require.NotEmpty(t, items, what)
			found, _ = items[0].(map[string]any)
		}
		id, _ := found[member].(string)
		require.NotEmpty(t, id, what)
		return id
	}
	all := func(include func(name string) bool) {
		for path, item := range doc.Paths {
			for method := range item {
				if include(strings.ToUpper(method) + " " + path) {
					run(strings.ToUpper(method), path)
				}
			}
		}
	}
	for _, name := range sampleOrder {
		method, path, _ := strings.Cut(name, " ")
		run(method, path)
	}
	deleted := ids("run", "run_id", r.do(http.MethodPost, "/backtests/run", `{"dataset":"sp500","strategy_name":"sma_cross","params":{"fast":5,"slow":20}}`, "X-Idempotency-Key", "to delete"))
	shell.env["DELETION_ID"] = ids("deletion", "deletion_id", r.do(http.MethodDelete, "/backtests/runs/"+deleted, ""))
	gone, err := r.store.Tenants.CreateWorkspace(t.Context(), "gone", 1)
	require.NoError(t, err)
	shell.env["WORKSPACE_DELETION_ID"] = ids("workspace", "workspace_id", r.admin(http.MethodDelete, "/admin/workspaces/"+gone.ID.String()+"?confirm=gone", ""))
	shell.env["DELIVERY"] = shell.env["DELIVERY_ID"]
	// What an example cannot make for another: a document with an address, a gap, a question's run.
	address := r.do(http.MethodPost, "/ingest", `{"url":"https://example.com/notes"}`, "X-Idempotency-Key", "address")
	shell.env["DOCUMENT_ID"] = ids("ingest", "document_id", address)
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, "/query", `{"question":"What is nowhere in here?","mode":"retrieve"}`).status)
	shell.env["GAP_ID"] = ids("gaps", "run_id", r.admin(http.MethodGet, "/admin/coverage/gaps", ""))
	backtest := shell.env["RUN_ID"]
	shell.env["RUN_ID"] = shell.env["GAP_ID"]
	run(http.MethodPost, "/admin/coverage/explain")
	shell.env["RUN_ID"] = backtest
	run(http.MethodPost, "/admin/coverage/gaps/{id}/acknowledge")
	late := func(name string) bool {
		return strings.HasPrefix(name, "DELETE") || strings.HasSuffix(name, "/logout") || strings.HasSuffix(name, "/explain") ||
			strings.HasSuffix(name, "/retry") || strings.HasSuffix(name, "/manifest") || strings.HasSuffix(name, "/export") || strings.HasSuffix(name, "/tearsheet")
	}
	ran["POST /documents/{id}/strategy"] = true // it needs a script that a worker has read: TestAStrategyIsMadeOfADocument
	all(func(name string) bool { return !late(name) })
	shell.env["JOB_ID"] = ids("ingest", "job_id", address)
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, "/ingest/jobs/"+shell.env["JOB_ID"]+"/cancel", "").status)
	for _, path := range []string{"/backtests/tunes/{id}", "/backtests/wfo/{id}", "/run-plans/{id}", "/ingest/jobs/{id}"} {
		run(http.MethodPost, path+"/retry") // of what was cancelled
	}
	// A completed tune is explained, and then the explanation can be read.
	r.startWorker()
	done := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "to explain")
	shell.env["TUNE_ID"] = ids("tune", "tune_id", done)
	require.Eventually(t, func() bool {
		return into[struct{ Status string }](t, r.do(http.MethodGet, done.header.Get("Location"), "")).Status == "completed"
	}, 30*time.Second, 20*time.Millisecond)
	run(http.MethodPost, "/backtests/tunes/{id}/explain")
	run(http.MethodGet, "/backtests/tunes/{id}/explain") // before another example makes a tune
	done = r.do(http.MethodPost, "/backtests/wfo", smallWFO, "X-Idempotency-Key", "to export")
	shell.env["WFO_ID"] = ids("walk-forward", "wfo_id", done)
	require.Eventually(t, func() bool {
		return into[struct{ Status string }](t, r.do(http.MethodGet, done.header.Get("Location"), "")).Status == "completed"
	}, 30*time.Second, 20*time.Millisecond)
	for _, kind := range []string{"tunes", "wfo", "runs"} {
		run(http.MethodGet, "/backtests/"+kind+"/{id}/manifest")
		run(http.MethodGet, "/backtests/"+kind+"/{id}/export")
		run(http.MethodGet, "/backtests/"+kind+"/{id}/tearsheet")
	}
	whole := []string{"DELETE /workspace", "DELETE /admin/workspaces/{id}"} // of the workspace that all others are of
	all(func(name string) bool { return !slices.Contains(whole, name) })
	run(http.MethodDelete, "/workspace")
	run(http.MethodDelete, "/admin/workspaces/{id}")
}

// sampleShell runs examples and keeps the ids that they give for those that need them.
type sampleShell struct {
	t   *testing.T
	dir string
	env map[string]string
}

func newSampleShell(t *testing.T, r *fixture) *sampleShell {
	t.Helper()
	s := &sampleShell{t: t, dir: t.TempDir(), env: map[string]string{
		"MILLRACE_URL": r.url, "MILLRACE_API_KEY": r.key, "ADMIN_TOKEN": adminToken,
		"WORKSPACE_ID": r.alpha.ID.String(), "MILLRACE_WORKSPACE_ID": r.alpha.ID.String(), "JOB": "job-runs", "WORKSPACE_NAME": r.alpha.Name,
	}}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "prices.csv"), ohlcv.Sample(), 0o600))
	// What a person sees on the terminal is kept in a file, so that the status can be read.
	rc := "silent\nshow-error\nmax-time = 2\noutput = answer\nwrite-out = \"%{http_code}\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, ".curlrc"), []byte(rc), 0o600))
	return s
}

func (s *sampleShell) run(name, sample, status string) {
	s.t.Helper()
	cmd := exec.Command("bash", "-uc", sample)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "HOME="+s.dir)
	for variable, value := range s.env {
		cmd.Env = append(cmd.Env, variable+"="+value)
	}
	out, err := cmd.CombinedOutput()
	answer, _ := os.ReadFile(filepath.Join(s.dir, "answer"))
	stream := strings.HasSuffix(name, "/stream") || strings.HasSuffix(name, "}/events") // ends by its time limit only
	if err != nil && !stream {
		s.t.Errorf("%s: %v\n%s\n%s", name, err, sample, out)
		return
	}
	if !strings.Contains(string(out), status) {
		s.t.Errorf("%s: %s instead of %s\n%s\n%s", name, out, status, sample, answer)
	}
	var made map[string]any
	if json.Unmarshal(answer, &made) != nil || !strings.HasPrefix(name, "POST") {
		return
	}
	if entry, ok := made["job_log_id"].(float64); ok {
		s.env["ENTRY"] = strconv.Itoa(int(entry))
	}
	for member, value := range made {
		if id, ok := value.(string); ok && strings.HasSuffix(member, "_id") && s.env[strings.ToUpper(member)] == "" {
			s.env[strings.ToUpper(member)] = id
			if short := strings.TrimSuffix(member, "_id"); short == "key" || short == "token" {
				s.env[strings.ToUpper(short)] = id
			}
		}
	}
}
