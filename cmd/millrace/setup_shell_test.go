package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// setupShell is the one shell in which a reader of the page setup.md types its blocks.
type setupShell struct {
	t     *testing.T
	in    io.WriteCloser
	out   *bufio.Reader
	state string
}

func newSetupShell(t *testing.T, path, state string) *setupShell {
	t.Helper()
	cmd := exec.Command("bash", "-eu", "-o", "pipefail")
	cmd.Dir, cmd.Env = root, []string{"HOME=" + t.TempDir(), "PATH=" + path, "TMPDIR=" + t.TempDir()}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = writer, writer
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	s := &setupShell{t: t, in: in, out: bufio.NewReader(reader), state: state}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(state, "*.log"))
			for _, log := range logs {
				said, _ := os.ReadFile(log)
				t.Logf("%s:\n%s", filepath.Base(log), said[max(0, len(said)-3000):])
			}
		}
		_ = in.Close()
		_ = cmd.Wait()
		_ = reader.Close()
		// What a block started and "stop" did not end, as after a failure.
		files, _ := filepath.Glob(filepath.Join(state, "*.pid"))
		for _, file := range files {
			if pid, err := os.ReadFile(file); err == nil {
				_ = exec.Command("kill", "-KILL", strings.TrimSpace(string(pid))).Run()
			}
		}
	})
	return s
}

// run types a block and returns what it prints; a command that fails ends the shell, and the test.
func (s *setupShell) run(name, block string) string {
	s.t.Helper()
	const end = "--- end of the block ---"
	_, err := io.WriteString(s.in, block+"\necho '"+end+"'\n")
	require.NoError(s.t, err, "the shell has ended before %s", name)
	var said strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if strings.HasSuffix(line, end+"\n") {
			said.WriteString(strings.TrimSuffix(line, end+"\n"))
			return said.String()
		}
		said.WriteString(line)
		require.NoError(s.t, err, "the block %s fails:\n%s", name, &said)
	}
}

// twinPorts are n free ports p for which 1p, the port of the metrics, is free too.
func twinPorts(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for p := 3000 + os.Getpid()%3000; len(all) < n; p++ {
		require.Less(t, p, 10_000, "no free ports")
		first, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			continue
		}
		second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:1%04d", p))
		_ = first.Close()
		if err != nil {
			continue
		}
		_ = second.Close()
		all = append(all, fmt.Sprint(p))
	}
	return all
}

// pager is where alerts arrive, by name and state.
type pager struct {
	mu     sync.Mutex
	alerts []string
	url    string
}

// newPager listens for Alertmanager's webhooks. In Alertmanager's place, where it is not installed, it takes what
// Prometheus sends there.
func newPager(t *testing.T, address string) *pager {
	t.Helper()
	p := &pager{}
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		type alert struct {
			Status string            `json:"status"`
			Labels map[string]string `json:"labels"`
			EndsAt time.Time         `json:"endsAt"`
		}
		var got []alert
		if r.URL.Path == "/api/v2/alerts" {
			_ = json.NewDecoder(r.Body).Decode(&got)
			for i := range got {
				got[i].Status = "firing"
				if time.Now().After(got[i].EndsAt) {
					got[i].Status = "resolved"
				}
			}
		} else {
			var message struct {
				Alerts []alert `json:"alerts"`
			}
			_ = json.NewDecoder(r.Body).Decode(&message)
			got = message.Alerts
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range got {
			p.alerts = append(p.alerts, a.Status+" "+a.Labels["alertname"]+" "+a.Labels["instance"])
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	p.url = "http://" + listener.Addr().String()
	return p
}

func (p *pager) has(alert string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.alerts, alert)
}

func (p *pager) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.alerts)
}

// distributionsNginx is a folder as Debian's /etc/nginx: a configuration that includes conf.d.
func distributionsNginx(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	me, err := user.Current()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "conf.d"), 0o755))
	conf := fmt.Sprintf(`user %[2]s; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  include %[1]s/conf.d/*.conf;
}`, dir, me.Username)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600))
	t.Cleanup(func() { // where "stop" was not reached
		if pid, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
			_ = exec.Command("kill", strings.TrimSpace(string(pid))).Run()
		}
	})
	return dir
}
