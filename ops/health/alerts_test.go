package health_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/ops/health"
	"millrace/ops/program"
)

// shortened are the rules with windows of seconds, so that they can be seen to fire.
func shortened(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile("../prometheus/alerts.rules.yml")
	require.NoError(t, err)
	text := regexp.MustCompile(`\n        for: \w+`).ReplaceAllString(string(rules), "\n        for: 1s")
	return regexp.MustCompile(`\[\w+\]`).ReplaceAllString(text, "[15s]")
}

// startPrometheus runs a real one on the shortened rules against two targets, and returns its address.
func startPrometheus(t *testing.T, path, target, doomed string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.rules.yml"), []byte(shortened(t)), 0o600))
	config := fmt.Sprintf(`
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 500ms}
rule_files: [alerts.rules.yml]
scrape_configs:
  - job_name: millrace
    static_configs: [{targets: ["%s", "%s"]}]
`, target, doomed)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	var log bytes.Buffer
	cmd := exec.Command(path, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return address
}

// firing asks Prometheus which alerts fire.
func firing(address string) []string {
	resp, err := http.Get("http://" + address + "/api/v1/alerts")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil {
		return nil
	}
	var names []string
	for _, alert := range answer.Data.Alerts {
		if name := alert.Labels["alertname"]; alert.State == "firing" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Every alert fires in a real Prometheus that scrapes a real process's metrics, once its condition
// holds; and none does before.
func TestEveryAlertFiresInPrometheus(t *testing.T) {
	prometheus := program.Find(t, "prometheus", "prometheus")
	t.Parallel()
	w := newWorld(t)
	w.useQdrant()
	metrics := ops.NewMetrics()
	var broken atomic.Bool
	w.opts.Embed = func(context.Context) error {
		if broken.Load() {
			return context.DeadlineExceeded
		}
		return nil
	}
	metrics.Registry.MustRegister(health.PoolMetrics(w.main),
		health.NewFleetMetrics(w.opts, health.Ready(w.opts), slog.New(slog.DiscardHandler)),
		health.CertificateMetrics(func() time.Time {
			if broken.Load() {
				return time.Now().Add(time.Hour)
			}
			return time.Now().Add(90 * 24 * time.Hour)
		}))
	server := httptest.NewServer(ops.Internal(metrics.Registry, ""))
	defer server.Close()
	doomed := httptest.NewServer(ops.Internal(ops.NewMetrics().Registry, ""))
	address := startPrometheus(t, prometheus, strings.TrimPrefix(server.URL, "http://"), strings.TrimPrefix(doomed.URL, "http://"))

	// A while of good work, during which nothing may fire.
	work(metrics, true)
	quiet := time.Now().Add(5 * time.Second)
	require.Eventually(t, func() bool {
		work(metrics, true)
		w.exec(`update workers set beat_at = clock_timestamp()`)
		require.Empty(t, firing(address), "nothing is wrong")
		return time.Now().After(quiet) && answers(address)
	}, 20*time.Second, 200*time.Millisecond)

	broken.Store(true)
	doomed.Close()
	w.exec(`update retention_rules set created_at = now() - interval '49 hours'`)
	w.exec(keys(101))
	w.exec(`insert into idempotency_keys (workspace_id, route, key, fingerprint, created_at)
		select id, 'r', 'k', sha256(''), now() - interval '31 minutes' from workspaces`)
	w.exec(`update documents set chunks = 3`) // of which the index has one
	w.exec(ingested("queued", "1 minute", 101))
	w.exec(`insert into workers (id, host, pid, version, queues, beat_at) values ('silent', 'h', 2, 'v', '{}', clock_timestamp() - interval '2 minutes')`)
	w.exec(`insert into river_queue (name, created_at, updated_at) values ('nobody', now(), now())`)
	w.exec(`select setval('river_job_id_seq', 1000)`) // no job has the id that the ingestions wait for
	w.exec(job("nobody", "available", "11 minutes"))
	w.exec(schedule("failures", "3"))
	w.exec(credential("1 day", "2 days"))
	w.exec(unsealed("6 minutes"))
	w.exec(schedule("next_at", "clock_timestamp() - interval '61 s'"))
	w.exec(missed(2))
	w.exec(webhook("dead", "null"))
	w.exec(webhook("active", "clock_timestamp() - interval '61 minutes'"))
	w.exec(webhook("active", "null"))
	w.exec(undelivered("61 s"))
	w.exec(`revoke execute on function probe_write(interval) from public, millrace_app, millrace_fleet`)
	require.NoError(t, w.feed.Stop(t.Context()))
	rules, err := os.ReadFile("../prometheus/alerts.rules.yml")
	require.NoError(t, err)
	var all []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	seen, missing := map[string]bool{}, []string{}
	require.Eventually(t, func() bool {
		work(metrics, false)
		w.exec(`insert into workers (id, host, pid, version, queues) values ('skewed', 'h', 3, 'v', '{}')
			on conflict (id) do update set beat_at = clock_timestamp(), clock_ahead_seconds = 7200`)
		if len(missing) == 1 && missing[0] == "Millrace_FleetFiguresMissing" {
			w.wire.set(cut, 0) // last, since the others stand on these figures
		}
		w.exec(run("job_runs", false, "1 minute"))
		for _, name := range firing(address) {
			seen[name] = true
		}
		missing = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return seen[name] })
		return len(missing) == 0
	}, 90*time.Second, 200*time.Millisecond, "did not fire: %v", &missing)
}

// answers reports whether Prometheus has scraped and evaluated.
func answers(address string) bool {
	resp, err := http.Get("http://" + address + "/api/v1/query?query=tune_runs_total")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var answer struct{ Data struct{ Result []any } }
	return json.NewDecoder(resp.Body).Decode(&answer) == nil && len(answer.Data.Result) > 0
}

// work measures a moment's work, done well or badly, at the metrics that the process measures with.
func work(m *ops.Metrics, well bool) {
	k := &m.Knowledge
	status, reason, seconds := "ok", "", 0.01
	outcome, code := "completed", "200"
	if !well {
		status, reason, seconds, outcome, code = "error", "llm_error", 3, "failed", "500"
		m.DBConnectionErrors.Add(5)
		k.QdrantErrors.WithLabelValues("search").Add(5)
		k.LLMErrors.Add(5)
		k.LLMTimeouts.Add(5)
		k.LLMDegraded.WithLabelValues(reason).Inc()
		k.EmbedErrors.Add(5)
		k.RecommendTimeouts.Add(5)
		m.RunPlanFailures.Add(5)
		m.SSEQueueDrops.Inc()
		m.SSERelayLag.Set(6)
		m.IngestFailures.WithLabelValues("pdf").Add(5)
		m.SignIns.WithLabelValues("away").Add(5)
		m.TelemetryFailures.WithLabelValues("traces").Add(5)
		m.WFOEligible.Observe(0)
	} else {
		m.WFOEligible.Observe(3)
	}
	m.HTTPRequests.WithLabelValues("/datasets", "GET", code).Inc()
	m.HTTPDuration.WithLabelValues("/datasets", "GET").Observe(seconds)
	m.DBAcquire.Observe(seconds)
	k.QdrantDuration.WithLabelValues("search").Observe(seconds)
	k.LLMRequests.WithLabelValues("openai", status, reason).Inc()
	k.RecommendRequests.WithLabelValues(map[bool]string{true: "ok", false: "none"}[well], "none").Inc()
	m.TuneRuns.WithLabelValues(outcome).Inc()
	m.TuneRunDuration.Observe(seconds * 1000)
	m.WFORuns.WithLabelValues(outcome).Inc()
	m.WFOFolds.WithLabelValues(outcome).Inc()
}
