package api_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
)

// sampleOrder is what has to be there before an example can run on it.
var sampleOrder = []string{
	"POST /datasets", "POST /admin/workspaces", "POST /backtests/run", "POST /backtests/tune", "POST /backtests/wfo", "POST /admin/retention/prune/{job}",
	"POST /workspace/keys", "POST /admin/workspaces/{id}/keys",
}

// Every example of the API's document runs as it is copied, and answers with the status that the
// document promises.
func TestTheDocumentsExamplesRun(t *testing.T) {
	r := newLibrary(t).rig.withSample()
	var doc struct {
		Paths map[string]map[string]struct {
			Samples   []struct{ Source string } `json:"x-codeSamples"`
			Responses map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(r.do(http.MethodGet, "/docs/openapi.json", "").body, &doc))
	shell := newSampleShell(t, r)
	done := map[string]bool{}
	run := func(method, path string) {
		op := doc.Paths[path][strings.ToLower(method)]
		name := method + " " + path
		if done[name] {
			return
		}
		done[name] = true
		require.NotEmpty(t, op.Samples, name)
		for status := range op.Responses {
			if status != "default" {
				shell.run(name, op.Samples[0].Source, status)
			}
		}
	}
	for _, name := range sampleOrder {
		method, path, _ := strings.Cut(name, " ")
		run(method, path)
	}
	for path, item := range doc.Paths {
		for method := range item {
			if method != "delete" && !strings.HasSuffix(path, "/logout") {
				run(strings.ToUpper(method), path)
			}
		}
	}
	for path, item := range doc.Paths {
		for method := range item {
			run(strings.ToUpper(method), path) // what takes away comes last
		}
	}
}

// sampleShell runs examples and keeps the ids that they give for those that need them.
type sampleShell struct {
	t   *testing.T
	dir string
	env map[string]string
}

func newSampleShell(t *testing.T, r *rig) *sampleShell {
	t.Helper()
	s := &sampleShell{t: t, dir: t.TempDir(), env: map[string]string{
		"MILLRACE_URL": r.url, "MILLRACE_API_KEY": r.key, "ADMIN_TOKEN": adminToken,
		"WORKSPACE_ID": r.alpha.ID.String(), "MILLRACE_WORKSPACE_ID": r.alpha.ID.String(), "JOB": "job-runs",
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
	stream := strings.HasSuffix(name, "/stream") // ends by its time limit only
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
		if id, ok := value.(string); ok && strings.HasSuffix(member, "_id") {
			s.env[strings.ToUpper(member)] = id
			if member == "key_id" {
				s.env["KEY"] = id
			}
		}
	}
}
