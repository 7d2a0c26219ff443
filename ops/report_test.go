package ops_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
)

// sink speaks Sentry's envelope format: a line of JSON for the envelope, then for each item a line of
// JSON with its type and length, and the item.
type sink struct {
	mu    sync.Mutex
	items map[string][]map[string]any // by type
	raw   string
	auth  string
}

func newSink(t *testing.T) (*sink, string) {
	t.Helper()
	s := &sink{items: map[string][]map[string]any{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/api/7/envelope/" {
			http.Error(w, "no envelope", http.StatusBadRequest)
			return
		}
		s.take(t, body, r.Header.Get("X-Sentry-Auth"))
		_, _ = w.Write([]byte(`{"id":"1"}`))
	}))
	t.Cleanup(server.Close)
	return s, strings.Replace(server.URL, "http://", "http://publickey@", 1) + "/7"
}

func (s *sink) take(t *testing.T, body []byte, auth string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw += string(body)
	s.auth = auth
	lines := bufio.NewReader(bytes.NewReader(body))
	if _, err := lines.ReadBytes('\n'); err != nil {
		t.Errorf("envelope without a header: %v", err)
		return
	}
	for {
		head, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(head)) == 0 && err != nil {
			return
		}
		var item struct {
			Type   string
			Length int
		}
		if err := json.Unmarshal(head, &item); err != nil {
			t.Errorf("item header %q: %v", head, err)
			return
		}
		payload := make([]byte, item.Length)
		if _, err := io.ReadFull(lines, payload); err != nil {
			t.Errorf("item shorter than it says: %v", err)
			return
		}
		_, _ = lines.ReadByte() // the line's end
		var content map[string]any
		if err := json.Unmarshal(payload, &content); err != nil {
			t.Errorf("item %s: %v", item.Type, err)
			return
		}
		s.items[item.Type] = append(s.items[item.Type], content)
	}
}

func (s *sink) of(kind string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[kind]
}

func TestReportsAreTaggedMeasuredAndScrubbed(t *testing.T) {
	got, dsn := newSink(t)
	const password, token = "hunter2hunter2", "the-admin-token-of-this-place"
	reporter, err := ops.NewReporter(ops.ReportOptions{
		DSN: dsn, Environment: "test", Release: "millrace@abc", TraceRate: 1, Secrets: []string{token, "short"},
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
	cause := fmt.Errorf("dial postgres://millrace:%s@db:5432/x: Authorization: Bearer abcdefghijkl, key mr_AAAABBBBCCCCDDDD, api_key=zzzzzzzz, admin %s", password, token)
	reporter.Report(ctx, fmt.Errorf("ask: %w", cause))
	reporter.Report(ctx, nil)
	finish(http.StatusInternalServerError)
	flush, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, reporter.Flush(flush))

	require.Len(t, got.of("event"), 1)
	require.Contains(t, got.auth, "sentry_key=publickey")
	event := got.of("event")[0]
	tags := event["tags"].(map[string]any)
	for name, value := range map[string]string{"kb_status": "degraded", "strategy": "sma_cross", "workspace_id": "w-1", "embed_model": "openai/small", "request_id": "req-12345678"} {
		require.Equal(t, value, tags[name], name)
	}
	require.NotContains(t, tags, "empty")
	require.Equal(t, "millrace@abc", event["release"])
	require.NotContains(t, event, "request")
	for _, secret := range []string{password, token, "abcdefghijkl", "AAAABBBB", "zzzzzzzz"} {
		require.NotContains(t, got.raw, secret)
	}
	require.Contains(t, got.raw, "dial postgres")

	require.Len(t, got.of("transaction"), 1)
	timed := got.of("transaction")[0]
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
	finish(200)
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
