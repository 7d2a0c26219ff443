package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/ops/program"
)

// freePort is a port of loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// startProxy runs Debian's nginx with the configuration of docker-compose.yml.
func startProxy(t *testing.T, apiA, apiB string) string {
	t.Helper()
	nginx := program.Find(t, "nginx-light", "nginx")
	dir, listen := t.TempDir(), freePort(t)
	template, err := os.ReadFile("../../ops/nginx/millrace.conf.template")
	require.NoError(t, err)
	site := strings.NewReplacer("${API_A}", apiA, "${API_B}", apiB, "${LISTEN}", listen).Replace(string(template))
	require.NotContains(t, site, "${")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "site.conf"), []byte(site), 0o644))
	me, err := user.Current()
	require.NoError(t, err)
	conf := fmt.Sprintf(`daemon off; user %[2]s; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  include %[1]s/site.conf;
}`, dir, me.Username)
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o644))
	cmd := exec.Command(nginx, "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", file)
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("nginx: %s\n%s", log.String(), said)
		}
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + listen + "/healthz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
	return "http://" + listen
}

// stop ends a process as an orchestrator does, and waits for it.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, p.cmd.Wait(), "%s", p.log)
}

// follower keeps every event of a stream and where it stood.
type follower struct {
	mu       sync.Mutex
	ids      []string
	finished bool
}

func (f *follower) follow(ctx context.Context, c *client.Client, tune string) error {
	return c.Events("backtests", "jobs").Run(ctx, func(context.Context) error { return nil }, func(e types.Event) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ids = append(f.ids, e.Cursor)
		if e.Type == "backtest.tune.completed" && e.EntityID == tune {
			f.finished = true
			return client.ErrStop
		}
		return nil
	})
}

// Two API servers and three workers behind the proxy are replaced one by one while a tune runs and
// its stream is followed: no request fails, no trial is lost or run into the result twice, and the
// follower sees every event once and in order.
func TestAnUpgradeIsNotNoticed(t *testing.T) {
	f := newFleet(t)
	addresses := []string{freePort(t), freePort(t)}
	start := func(addr string) *process {
		p := f.process("api", "--addr", addr)
		p.await("api ready")
		return p
	}
	apis := []*process{start(addresses[0]), start(addresses[1])}
	f.url = startProxy(t, addresses[0], addresses[1])
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 5, Bars: 120_000, Interval: time.Hour})
	require.NoError(t, err)
	var csv bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	worker := func() *process {
		p := f.process("worker", "--queues", "trials:1,tunes:1,maintenance:1")
		p.await("worker ready")
		return p
	}
	workers := []*process{worker(), worker(), worker()}

	tune := f.submit("upgrade", `{"dataset":"walk","strategy_name":"sma_cross","oos_ratio":0.3,
		"param_space":{"fast":{"low":2,"high":101},"slow":{"low":102,"high":501}},"gates":{"max_drawdown_pct":95,"min_trades":1}}`)
	api, err := client.New(client.Options{URL: f.url, Key: f.key})
	require.NoError(t, err)
	var seen follower
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	followed := make(chan error, 1)
	go func() { followed <- seen.follow(ctx, api, tune.TuneID) }()
	asking, asked := f.keepAsking(ctx)

	f.wait(tune.TuneID, func(s tuneBytes) bool { return s.TrialsCompleted > 100 })
	for i, old := range apis {
		old.stop()
		apis[i] = start(addresses[i])
	}
	for _, old := range workers {
		worker()
		old.stop()
	}
	during := f.wait(tune.TuneID, func(tuneBytes) bool { return true })
	require.Equal(t, "running", during.Status, "the tune was over before the upgrade was")
	done := f.wait(tune.TuneID, ended)
	require.Equal(t, "completed", done.Status, "%v", done.Error)
	require.NoError(t, <-followed)
	cancel()
	failed := <-asked
	require.Empty(t, failed, "requests failed during the upgrade")
	require.Greater(t, *asking, 50, "too few requests to notice anything")
	require.Equal(t, 40_000, f.countTrials(tune.TuneID))
	require.True(t, seen.finished)
	f.requireWholeLog(seen.ids)
}

// keepAsking sends requests through the proxy until ctx ends; then the channel gives what failed.
func (f *fleetUnderTest) keepAsking(ctx context.Context) (*int, <-chan []string) {
	n, done := new(int), make(chan []string, 1)
	go func() {
		var failed []string
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/backtests/tunes?limit=1", nil)
			if err == nil {
				req.Header.Set("Authorization", "Bearer "+f.key)
				var resp *http.Response
				if resp, err = http.DefaultClient.Do(req); err == nil {
					if resp.StatusCode != http.StatusOK {
						failed = append(failed, resp.Status)
					}
					_ = resp.Body.Close()
					*n++
				}
			}
			if ctx.Err() != nil {
				done <- failed
				return
			}
			if err != nil {
				failed = append(failed, err.Error())
			}
			select {
			case <-ctx.Done():
			case <-every.C:
			}
		}
	}()
	return n, done
}

// requireWholeLog checks that the ids are a stretch of the event log without a gap, a repetition or
// a change of order.
func (f *fleetUnderTest) requireWholeLog(ids []string) {
	f.t.Helper()
	require.NotEmpty(f.t, ids)
	var log []string
	after := ""
	for {
		status, answer := f.call(http.MethodGet, "/events?topics=backtests,jobs&limit=1000&after="+after, "", nil)
		require.Equal(f.t, http.StatusOK, status, string(answer))
		var page types.EventPage
		require.NoError(f.t, json.Unmarshal(answer, &page))
		for _, e := range page.Items {
			log = append(log, e.Cursor)
		}
		if after = page.NextCursor; len(page.Items) < 1000 {
			break
		}
	}
	first := 0
	for first < len(log) && log[first] != ids[0] {
		first++
	}
	require.LessOrEqual(f.t, first+len(ids), len(log))
	require.Equal(f.t, log[first:first+len(ids)], ids)
}
