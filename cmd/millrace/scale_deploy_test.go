package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs"
	"millrace/ops/program"
)

// scaled runs ops/deploy/scale-workers with a queue that wants so many slots of four a worker, from one to three
// workers, some of which run, and returns what it asks of systemd.
func scaled(t *testing.T, wanted string, running ...string) (asked []string, err error) {
	t.Helper()
	folder := t.TempDir()
	file := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700))
	}
	file("running", strings.Join(running, "\n")+"\n")
	file("asked", "")
	file("millrace", "#!/bin/sh\n[ \"$*\" = 'admin fleet demand --queue trials' ] || exit 1\n"+wanted+"\n")
	file("systemctl", "#!/bin/sh\nif [ \"$1\" = is-active ]; then grep -qx \"$3\" "+folder+"/running; else echo \"$1 $3\" >> "+folder+"/asked; fi\n")
	script, err := filepath.Abs(filepath.Join(root, "ops/deploy/scale-workers"))
	require.NoError(t, err)
	cmd := exec.Command(script, "trials", "4", "1", "3", "9471")
	cmd.Env = []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	said, readErr := os.ReadFile(filepath.Join(folder, "asked"))
	require.NoError(t, readErr)
	return strings.Split(strings.TrimSpace(string(said)), "\n"), err
}

func TestWorkersOfAMachineFollowTheDemand(t *testing.T) {
	t.Parallel()
	const first, second, third = "millrace-worker@9471", "millrace-worker@9472", "millrace-worker@9473"
	for _, c := range []struct {
		what, wanted string
		running      []string
		asked        []string
	}{
		{"more is wanted than may run", "echo 310", []string{first}, []string{"start " + third, "start " + second}},
		{"one more slot than a worker has", "echo 5", []string{first}, []string{"start " + second}},
		{"nothing to do", "echo 0", []string{first, second, third}, []string{"stop " + third}},
		{"nothing to do again", "echo 0", []string{first, second}, []string{"stop " + second}},
		{"the least is kept", "echo 0", []string{first}, []string{""}},
		{"what is wanted is there", "echo 8", []string{first, second}, []string{""}},
	} {
		asked, err := scaled(t, c.wanted, c.running...)
		require.NoError(t, err, c.what)
		require.Equal(t, c.asked, asked, c.what)
	}
	asked, err := scaled(t, "exit 1", first, second)
	require.Error(t, err)
	require.Equal(t, []string{""}, asked, "a server that does not answer stops workers")
}

// The example for KEDA asks for what the route answers and the server exports.
func TestTheExampleForKEDAAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "ops/deploy/keda/workers.yaml"))
	require.NoError(t, err)
	location := regexp.MustCompile(`valueLocation: (\w+)\.#\((\w+)=="(\w+)"\)\.(\w+)`).FindStringSubmatch(string(text))
	require.NotNil(t, location)
	body, err := json.Marshal(types.FleetDemand{Queues: []types.QueueDemand{{}}})
	require.NoError(t, err)
	var answer map[string]any
	require.NoError(t, json.Unmarshal(body, &answer))
	queues, ok := answer[location[1]].([]any)
	require.True(t, ok, location[1])
	require.Contains(t, queues[0], location[2])
	require.Contains(t, jobs.Queues(), location[3])
	require.Contains(t, queues[0], location[4])
	require.Contains(t, string(text), "/admin/fleet/demand")
	metrics, err := os.ReadFile(filepath.Join(root, "ops/health/metrics.go"))
	require.NoError(t, err)
	for metric := range metricsOf(regexp.MustCompile(`query: (.*)`).FindStringSubmatch(string(text))[1]) {
		require.Contains(t, string(metrics), `desc("`+metric+`"`)
	}
}

func TestTheScalingUnitsAreValidForSystemd(t *testing.T) {
	t.Parallel()
	analyze := program.Find(t, "systemd", "systemd-analyze")
	folder := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, unit := range []string{"millrace-scale.service", "millrace-scale.timer"} {
		body, err := os.ReadFile(filepath.Join(root, "ops/deploy/systemd", unit))
		require.NoError(t, err)
		body = []byte(strings.ReplaceAll(string(body), "/usr/local/bin/scale-workers", "/bin/true"))
		args = append(args, filepath.Join(folder, unit))
		require.NoError(t, os.WriteFile(args[len(args)-1], body, 0o600))
	}
	out, err := exec.Command(analyze, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
}

func TestTheFleetsDemandIsPrinted(t *testing.T) {
	v := newVerbs(t)
	require.Regexp(t, `trials +0 +0 +0 +0 +0 +0`, v.ok("admin", "fleet", "demand"))
	require.Equal(t, "0\n", v.ok("admin", "fleet", "demand", "--queue", "trials"))
	status, _, errs := v.run("admin", "fleet", "demand", "--queue", "none")
	require.Equal(t, 2, status)
	require.Contains(t, errs, "--queue")
}
