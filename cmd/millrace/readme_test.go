package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/ops/program"
)

// readmeCommands are the commands of a document's sh blocks, those over several lines in one.
func readmeCommands(t *testing.T, file string) []string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(body), -1) {
		var open string
		for line := range strings.Lines(block[1]) {
			open += line
			if strings.HasSuffix(strings.TrimSpace(line), `\`) || strings.Count(open, "'")%2 == 1 {
				continue
			}
			if command := strings.TrimSpace(open); command != "" {
				commands = append(commands, command)
			}
			open = ""
		}
	}
	require.NotEmpty(t, commands)
	return commands
}

// reader does what the README says, in order, in a folder of its own.
type reader struct {
	t    *testing.T
	dir  string
	env  []string
	tune string // id of the tune last submitted
}

// readmeScript is the script that stands for the reader's own.
const readmeScript = `//@version=6
strategy("Two means", default_qty_type=strategy.percent_of_equity, default_qty_value=100)
fast = input.int(10, "Fast Length", minval=2)
slow = input.int(50, "Slow Length", minval=2)
a = ta.sma(close, fast)
b = ta.sma(close, slow)
if ta.crossover(a, b)
    strategy.entry("Long", strategy.long)
if ta.crossunder(a, b)
    strategy.close("Long")
`

// Everything that the README asks a reader to type does what it says.
func TestTheReadmesCommandsRun(t *testing.T) {
	program.Find(t, "curl", "curl")
	f := newFleet(t)
	r := &reader{t: t, dir: t.TempDir()}
	require.NoError(t, os.Mkdir(filepath.Join(r.dir, "bin"), 0o755))
	require.NoError(t, os.Symlink(f.binary, filepath.Join(r.dir, "bin", "millrace")))
	jobs, err := filepath.Abs(filepath.Join(root, "jobs"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(jobs, filepath.Join(r.dir, "jobs")))
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "prices.csv"), ohlcv.Sample(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "means.pine"), []byte(readmeScript), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(r.dir, "notes"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "notes", "crossover.md"), []byte("A moving average crossover fails in a market without trend.\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "paper.pdf"), pdftest.Text("A page of a paper on momentum."), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, ".curlrc"), []byte("silent\nshow-error\nfail-with-body\nmax-time = 5\n"), 0o600))
	r.env = append(os.Environ(), "HOME="+r.dir, "MILLRACE_ADDR="+freePort(t), "DATABASE_URL="+f.cluster.URL())
	for _, command := range readmeCommands(t, "README.md") {
		t.Log(command)
		r.follow(command)
	}
}

func (r *reader) follow(command string) {
	r.t.Helper()
	word := strings.Fields(command)
	switch {
	case word[0] == "make": // it exists; what it does are the tests and the commands below
		out, err := exec.Command("make", "-C", root, "-n", word[1]).CombinedOutput()
		require.NoError(r.t, err, string(out))
	case word[0] == "pip": // it needs a network; the tests of api/python install the client
	case word[0] == "export": // the addresses of the reader's own
	case word[1] == "doctor": // it exits with 1 when something is not well, and says what
		cmd := r.command("unset DATABASE_URL; " + command) // which dev.env has, too
		out, _ := cmd.CombinedOutput()
		require.Contains(r.t, string(out), "overall", command)
	case word[1] == "bench": // as asked for it takes minutes, and it is measured by tests of its own
		r.run(strings.SplitN(command, "#", 2)[0] + " --rounds 1 --bars 1000 --trials 100 --submissions 16 --jobs 1000")
	case word[1] == "dev":
		r.background(command, "Millrace is ready")
		r.read(filepath.Join(r.dir, ".millrace", "dev.env"))
	case word[1] == "api", word[1] == "worker":
		r.background(regexp.MustCompile(`--addr \S+`).ReplaceAllString(command, "--addr 127.0.0.1:0"), word[1]+" ready")
	case word[0] == "curl" && word[1] == "-N": // continues until it is stopped
		out, _ := r.command(command).CombinedOutput()
		require.Contains(r.t, string(out), "retry:", command)
	default:
		command = strings.ReplaceAll(command, "TUNE_ID", r.tune)
		out := r.run(command)
		if id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(out); id != "" && word[1] == "tune" {
			r.tune = id
		}
	}
}

func (r *reader) command(command string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

func (r *reader) run(command string) string {
	r.t.Helper()
	out, err := r.command(command).CombinedOutput()
	require.NoError(r.t, err, "%s\n%s", command, out)
	return string(out)
}

// background starts what runs until it is stopped, and waits for what it says when it is ready.
func (r *reader) background(command, ready string) {
	r.t.Helper()
	cmd := r.command("exec " + strings.SplitN(command, "#", 2)[0])
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(r.t, cmd.Start())
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	require.Eventually(r.t, func() bool { return strings.Contains(log.String(), ready) }, 30*time.Second, 20*time.Millisecond, "%s\n%s", command, &log)
}

// read takes the settings that dev wrote for the commands after it.
func (r *reader) read(file string) {
	r.t.Helper()
	values, err := readEnvFile(file)
	require.NoError(r.t, err)
	for name, value := range values {
		r.env = append(r.env, fmt.Sprintf("%s=%s", name, value))
	}
}
