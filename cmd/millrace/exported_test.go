package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/ops/health"
	"millrace/ops/program"
	"millrace/store/pgtest"
)

// Prometheus makes these itself, and adds these labels to all series.
var (
	notOurs    = []string{"up", "ALERTS"}
	addedToAll = []string{"job", "instance", "le", "alertname", "alertstate"}
)

// notNames are the words of PromQL that are no metric.
var notNames = []string{"by", "without", "and", "or", "on", "offset", "bool", "ignoring", "group_left", "group_right"}

// metricsOf finds the metrics of a PromQL expression and the labels that are asked of each: those in
// its selector, and those that the expression groups by, which every metric of it has to have.
func metricsOf(expression string) map[string][]string {
	bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expression, `""`)
	bare = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(bare, "")
	var grouped []string
	grouping := regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	for _, list := range grouping.FindAllStringSubmatch(bare, -1) {
		for label := range strings.SplitSeq(list[1], ",") {
			grouped = append(grouped, strings.TrimSpace(label))
		}
	}
	bare = grouping.ReplaceAllString(bare, " ")
	found := map[string][]string{}
	for _, m := range regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{[^}]*\})?`).FindAllStringSubmatch(bare, -1) {
		if m[2] == "(" || slices.Contains(notNames, m[1]) {
			continue
		}
		labels := slices.Clone(grouped)
		for _, label := range regexp.MustCompile(`([a-zA-Z_]\w*)\s*[=!]`).FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, label[1])
		}
		found[m[1]] = append(found[m[1]], labels...)
	}
	return found
}

func TestMetricsOfAnExpressionAreFound(t *testing.T) {
	require.Equal(t, map[string][]string{
		"a_total":  {"status", "route", "status"},
		"b_bucket": {"status"},
		"c":        {"status"},
	}, metricsOf(`sum by (status) (rate(a_total{route!="/x",status=~"5.."}[5m])) / histogram_quantile(0.9, rate(b_bucket[1h])) > time() - max(c) * 48`))
}

// descriptors are the names and labels of everything that a registry can export.
func descriptors(registry *prometheus.Registry) map[string][]string {
	described := map[string][]string{}
	ch := make(chan *prometheus.Desc, 1000)
	go func() { registry.Describe(ch); close(ch) }()
	for d := range ch {
		m := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`).FindStringSubmatch(d.String())
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			described[m[1]+suffix] = strings.Split(m[2], ",")
		}
	}
	return described
}

// fillSeries gives every metric of a struct a series, since one without any is not exported.
func fillSeries(of reflect.Value) {
	for i := range of.NumField() {
		if field := of.Field(i); field.Kind() == reflect.Struct {
			fillSeries(field)
			continue
		}
		// The registry is a collector too, of everything.
		var vector prometheus.Collector
		switch of.Field(i).Interface().(type) {
		case *prometheus.CounterVec, *prometheus.GaugeVec, *prometheus.HistogramVec:
			vector = of.Field(i).Interface().(prometheus.Collector)
		default:
			continue
		}
		ch := make(chan *prometheus.Desc, 1)
		vector.Describe(ch)
		names := regexp.MustCompile(`variableLabels: \{([^}]*)\}`).FindStringSubmatch((<-ch).String())[1]
		values := make([]string, strings.Count(names, ",")+1)
		switch vector := vector.(type) {
		case *prometheus.CounterVec:
			vector.WithLabelValues(values...)
		case *prometheus.GaugeVec:
			vector.WithLabelValues(values...)
		case *prometheus.HistogramVec:
			vector.WithLabelValues(values...)
		}
	}
}

// requireLint has promtool look at the names and the help of metrics.
func requireLint(t *testing.T, scraped string) {
	t.Helper()
	cmd := exec.Command(program.Find(t, "prometheus", "promtool"), "check", "metrics")
	cmd.Stdin = strings.NewReader(scraped)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "promtool check metrics: %s", out)
	require.Empty(t, string(out))
}

// Everything that rules and dashboards ask for is exported by the process that runs, with the labels
// they ask for; what rules ask for is there from the beginning, before anything has gone wrong.
func TestWhatRulesAndDashboardsAskForIsExported(t *testing.T) {
	db := databaseFlags{DatabaseURL: pgtest.New(t).URL}
	env := &environment{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.DiscardHandler), awaits: &awaiting{}}
	metrics := ops.NewMetrics()
	// What a process with MILLRACE_TLS_CERT registers; this one serves plain HTTP.
	metrics.Registry.MustRegister(health.CertificateMetrics(func() time.Time { return time.Now().Add(time.Hour) }))
	var life lifecycle
	t.Cleanup(func() { _ = life.stop(10 * time.Second) })
	kb := knowledgeFlags{Embedder: "hash", LLM: "none", VectorMemory: 1, TextMemory: 1}
	const token = "an-admin-token-for-tests"
	address, err := startAPI(t.Context(), &life, env, db, kb, webhookFlags{}, apiFlags{Addr: "127.0.0.1:0", AdminToken: token}, metrics)
	require.NoError(t, err)
	require.NoError(t, startWorker(t.Context(), &life, env, db, kb, webhookFlags{}, workerFlags{
		Drain: time.Second, ShardTime: time.Second, ingestionFlags: ingestionFlags{PDFPages: 1, PDFTimeout: time.Second, OCRTimeout: time.Second},
	}, metrics))
	get := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		require.NoError(t, err)
		req.Header.Set("X-Admin-Token", token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
		return string(body)
	}
	get("/healthz")
	scraped := get("/metrics")
	described := descriptors(metrics.Registry)

	check := func(where, expression string, now bool) {
		for name, labels := range metricsOf(expression) {
			if slices.Contains(notOurs, name) {
				continue
			}
			has, known := described[name]
			require.True(t, known, "%s: no metric %s: %s", where, name, expression)
			for _, label := range labels {
				require.True(t, slices.Contains(has, label) || slices.Contains(addedToAll, label), "%s: %s has no label %s", where, name, label)
			}
			// Series of a label whose values nobody can know come with their first event.
			if unknowable := []string{"op", "provider", "queue", "kind", "worker", "collection"}; now && !slices.ContainsFunc(has, func(l string) bool { return slices.Contains(unknowable, l) }) {
				require.Contains(t, scraped, "\n"+strings.TrimSuffix(name, "_bucket"), "%s: %s is not exported at the start", where, name)
			}
		}
	}
	fillSeries(reflect.ValueOf(metrics).Elem())
	requireLint(t, get("/metrics"))
	rules, err := os.ReadFile("../../ops/prometheus/alerts.rules.yml")
	require.NoError(t, err)
	alerts := strings.Split(string(rules), "- alert: ")[1:]
	for _, alert := range alerts {
		name, rest, _ := strings.Cut(alert, "\n")
		_, expression, _ := strings.Cut(rest, "expr:")
		expression, _, _ = strings.Cut(expression, "\n        for:")
		check(name, strings.TrimPrefix(strings.TrimSpace(expression), "|"), true)
	}
	text, err := os.ReadFile("../../ops/grafana/millrace.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Expr string } }
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	panels := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			check("panel "+panel.Title, target.Expr, false)
			panels++
		}
	}
	require.Greater(t, panels, 20)
	for _, annotation := range dashboard.Annotations.List {
		check("annotation", annotation.Expr, false)
	}
}
