package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/ops/sentrytest"
)

func TestReportsAreTaggedMeasuredAndScrubbed(t *testing.T) {
	got := sentrytest.New(t)
	const password, token = "hunter2hunter2", "the-admin-token-of-this-place"
	reporter, err := ops.NewReporter(ops.ReportOptions{
		DSN: got.DSN, Environment: "test", Release: "millrace@abc", TraceRate: 1, Secrets: []string{token, "short"},
	})
	require.NoError(t, err)
	ctx := ops.With(t.Context(), slog.String("request_id", "req-12345678"))
	ctx, finish := reporter.Begin(ctx, "http.server", "POST /query")
	for name, value := range map[string]string{
		"kb_status": "degraded", "kb_confidence": "0.4", "strategy": "sma_cross", "workspace_id": "w-1",
		"collection": "c", "embed_model": "openai/small", "empty": "",
	} {
		ops.Tag(ctx, name, value)
	}
	for _, part := range []string{"kb.total_ms", "kb.embed_ms", "kb.qdrant_ms", "kb.rerank_ms"} {
		ops.Measure(ctx, part, 1500*time.Microsecond)
	}
	cause := fmt.Errorf("dial postgres://millrace:%s@db:5432/x: Authorization: Bearer abcdefghijkl, key mr_AAAABBBBCCCCDDDD, api_key=zzzzzzzz, admin %s, fetch https://ticket@files.example/a.csv?sig=signedsigned#part", password, token)
	reporter.Report(ctx, fmt.Errorf("ask: %w", cause))
	reporter.Report(ctx, nil)
	finish(ops.OutcomeHTTP(http.StatusInternalServerError))
	flush, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, reporter.Flush(flush))

	require.Len(t, got.Of("event"), 1)
	require.Contains(t, got.Auth(), "sentry_key=sentrypublickey0123")
	event := got.Of("event")[0]
	tags := event["tags"].(map[string]any)
	for name, value := range map[string]string{"kb_status": "degraded", "strategy": "sma_cross", "workspace_id": "w-1", "embed_model": "openai/small", "request_id": "req-12345678"} {
		require.Equal(t, value, tags[name], name)
	}
	require.NotContains(t, tags, "empty")
	require.Equal(t, "millrace@abc", event["release"])
	require.NotContains(t, event, "request")
	for _, secret := range []string{password, token, "abcdefghijkl", "AAAABBBB", "zzzzzzzz", "signedsigned", "ticket@", "#part"} {
		require.NotContains(t, got.Raw(), secret)
	}
	require.Contains(t, got.Raw(), "dial postgres")
	require.Equal(t, "POST /query", event["transaction"])

	require.Len(t, got.Of("transaction"), 1)
	timed := got.Of("transaction")[0]
	require.Equal(t, "POST /query", timed["transaction"])
	data := timed["contexts"].(map[string]any)["trace"].(map[string]any)["data"].(map[string]any)
	require.InDelta(t, 1.5, data["kb.total_ms"], 1e-9)
	require.InDelta(t, 1.5, data["kb.rerank_ms"], 1e-9)
}

func TestNothingIsReportedWithoutADSN(t *testing.T) {
	reporter, err := ops.NewReporter(ops.ReportOptions{})
	require.NoError(t, err)
	ctx, finish := reporter.Begin(t.Context(), "http.server", "GET /")
	reporter.Report(ctx, errors.New("nobody hears"))
	ops.Tag(ctx, "strategy", "x")
	ops.Measure(ctx, "kb.total_ms", time.Second)
	finish(ops.OutcomeOK)
	require.NoError(t, reporter.Flush(ctx))
	_, err = ops.NewReporter(ops.ReportOptions{DSN: "not a dsn"})
	require.Error(t, err)
}

// A line names the request, job and workspace that it is about, once.
func TestLogLinesNameTheirRequestAndJob(t *testing.T) {
	var out bytes.Buffer
	logger := ops.NewLogger(&out, slog.LevelInfo, false).With("process", "api")
	ctx := ops.With(t.Context(), slog.String("request_id", "r1"))
	inner := ops.With(ctx, slog.String("workspace_id", "w1"), slog.Int64("job_id", 7))
	logger.InfoContext(inner, "inside", "job_id", int64(8))
	logger.InfoContext(ctx, "outside")
	logger.Info("elsewhere")
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		require.Equal(t, 1, strings.Count(line, `"msg"`))
		require.LessOrEqual(t, strings.Count(line, `"job_id"`), 1, line)
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		lines = append(lines, fields)
	}
	require.Equal(t, "r1", lines[0]["request_id"])
	require.Equal(t, "w1", lines[0]["workspace_id"])
	require.EqualValues(t, 8, lines[0]["job_id"])
	require.Equal(t, "r1", lines[1]["request_id"])
	require.NotContains(t, lines[1], "workspace_id")
	require.NotContains(t, lines[2], "request_id")
}
