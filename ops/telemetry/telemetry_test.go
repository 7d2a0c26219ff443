package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"

	"millrace/ops"
	"millrace/ops/otlptest"
	"millrace/ops/telemetry"
)

func options(t *testing.T, url string) telemetry.Options {
	t.Helper()
	return telemetry.Options{
		TracesURL: url + "/v1/traces", MetricsURL: url + "/v1/metrics", Timeout: 10 * time.Second, Interval: time.Hour, Batch: time.Hour,
		Headers: map[string]string{"X-Scope": "team"}, Attributes: []attribute.KeyValue{attribute.String("service.name", "test")},
		Secrets: []string{"the-admin-token-of-this-place"}, Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler),
	}
}

func reporter(t *testing.T, exports *telemetry.Telemetry) *ops.Reporter {
	t.Helper()
	made, err := ops.NewReporter(ops.ReportOptions{Tracer: exports.Tracer()})
	require.NoError(t, err)
	return made
}

// What a job inserts has the origin of the job, and its own work is a child of the request.
func TestAJobContinuesTheTraceOfItsRequest(t *testing.T) {
	collector := otlptest.New(t)
	opts := options(t, collector.URL)
	exports, err := telemetry.Start(t.Context(), opts)
	require.NoError(t, err)
	report := reporter(t, exports)

	request, finishRequest := report.Begin(ops.With(report.Join(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
		slog.String("request_id", "request-1")), "http.server", "POST /backtests/tune")
	ops.Observe(request, opts.Metrics.HTTPDuration.WithLabelValues("/backtests/tune", "POST"), time.Millisecond)
	plan := inserted(t, request, `{"snoozes":12345678901234567890}`)
	require.Contains(t, string(plan), `"snoozes":12345678901234567890`)
	finishRequest(ops.OutcomeHTTP(202))
	job, finishJob := report.Begin(ops.OfJob(t.Context(), plan), "queue.process", "tune.plan")
	shard := inserted(t, job, "")
	finishJob(ops.OutcomeFailed)
	var log bytes.Buffer
	ops.NewLogger(&log, slog.LevelInfo, false).InfoContext(ops.OfJob(t.Context(), shard), "line of a shard")
	exports.Stop(t.Context())

	spans := map[string]otlptest.Span{}
	for _, span := range collector.Spans() {
		spans[span.Name] = span
	}
	posted, planned := spans["POST /backtests/tune"], spans["tune.plan"]
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", posted.Trace)
	require.Equal(t, "b7ad6b7169203331", posted.Parent)
	require.Equal(t, posted.Trace, planned.Trace)
	require.Equal(t, posted.ID, planned.Parent)
	require.True(t, planned.Failed)
	require.False(t, posted.Failed)
	require.Equal(t, "request-1", planned.Attributes["millrace.request_id"])
	require.Equal(t, "test", planned.Service)
	require.Equal(t, "team", collector.Header("X-Scope"))
	var origin struct{ Traceparent string }
	require.NoError(t, json.Unmarshal(shard, &origin))
	require.Equal(t, "00-"+posted.Trace+"-"+posted.ID+"-01", origin.Traceparent)
	require.Contains(t, log.String(), `"trace_id":"`+posted.Trace+`"`)
	require.Contains(t, log.String(), `"request_id":"request-1"`)

	points, exemplars := collector.Points("http_request_duration_seconds")
	require.Equal(t, 1, points)
	require.Equal(t, 1, exemplars)
	points, _ = collector.Points("tune_runs_total")
	require.Positive(t, points)
}

// inserted is the metadata of a job that is inserted with a context.
func inserted(t *testing.T, ctx context.Context, metadata string) []byte {
	t.Helper()
	job := &rivertype.JobInsertParams{Kind: "k", EncodedArgs: []byte(`{"a":1}`), Metadata: []byte(metadata)}
	_, err := ops.Origins{}.InsertMany(ctx, []*rivertype.JobInsertParams{job}, func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, nil })
	require.NoError(t, err)
	require.Equal(t, `{"a":1}`, string(job.EncodedArgs))
	return job.Metadata
}

func TestSpansHoldNoSecretsAndNoTextsOfErrors(t *testing.T) {
	collector := otlptest.New(t)
	exports, err := telemetry.Start(t.Context(), options(t, collector.URL))
	require.NoError(t, err)
	ctx, finish := reporter(t, exports).Begin(t.Context(), "queue.process", "tune.plan")
	_, span := exports.Tracer().Start(ctx, "inner")
	span.RecordError(errors.New("private cell of a user"))
	span.SetAttributes(attribute.String("a", "the-admin-token-of-this-place"), attribute.String("b", "mr_AAAABBBBCCCCDDDD"),
		attribute.String("c", "token=zzzzzzzz"), attribute.String("d", "https://u:p@h/x?sig=signedsigned"), attribute.String("e", "plain"))
	span.End()
	finish(ops.OutcomeOK)
	exports.Stop(t.Context())
	require.Len(t, collector.Spans(), 2)
	for _, private := range []string{"private cell", "the-admin-token", "AAAABBBB", "zzzzzzzz", "signedsigned", "u:p@"} {
		require.NotContains(t, collector.Raw(), private, private)
	}
	require.Contains(t, collector.Raw(), "plain")
	require.Contains(t, collector.Raw(), "exception")
}

// A collector that hangs takes the connection and never answers; one that refuses is not there.
func TestACollectorThatHangsOrRefusesBlocksNothing(t *testing.T) {
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // accepts by its backlog, and answers never
	require.NoError(t, err)
	defer func() { _ = hangs.Close() }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refuses := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	for name, url := range map[string]string{"hangs": "http://" + hangs.Addr().String(), "refuses": refuses} {
		t.Run(name, func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			opts := options(t, url)
			opts.Timeout, opts.Batch, opts.Interval = time.Minute, time.Millisecond, time.Millisecond
			exports, err := telemetry.Start(t.Context(), opts)
			require.NoError(t, err)
			report := reporter(t, exports)
			const spans = 20_000
			for range spans {
				_, finish := report.Begin(t.Context(), "http.server", "GET /x")
				finish(ops.OutcomeHTTP(200))
			}
			var dropped dto.Metric
			require.NoError(t, opts.Metrics.TelemetrySpansDropped.Write(&dropped))
			if name == "hangs" {
				require.GreaterOrEqual(t, dropped.GetCounter().GetValue(), float64(spans-2048), "the queue grew beyond its bound")
			}
			stopped := make(chan struct{})
			go func() { exports.Stop(context.Background()); close(stopped) }()
			select {
			case <-stopped:
			case <-time.After(30 * time.Second):
				t.Fatal("the collector kept the process from stopping")
			}
			// An idle connection is the HTTP client's, and ends by its own timeout.
			goleak.VerifyNone(t, leaks, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
		})
	}
}

func TestNothingConfiguredCostsNothing(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	exports, err := telemetry.Start(t.Context(), telemetry.Options{})
	require.NoError(t, err)
	require.Nil(t, exports)
	require.Nil(t, exports.Tracer())
	require.Nil(t, exports.SQL())
	goleak.VerifyNone(t, leaks)
	report := reporter(t, exports)
	require.Nil(t, report)
	ctx := context.Background()
	histogram := ops.NewMetrics().HTTPDuration.WithLabelValues("/", "GET")
	insert := func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, nil }
	jobs := []*rivertype.JobInsertParams{{Kind: "k"}}
	metadata := []byte(`{"snoozes":1}`)
	for name, hot := range map[string]func(){
		"a request": func() {
			_, finish := report.Begin(report.Join(ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "http.server", "GET /")
			ops.Observe(ctx, histogram, time.Millisecond)
			ops.Tag(ctx, "strategy", "x")
			ops.Measure(ctx, "kb.total_ms", time.Second)
			finish(ops.OutcomeOK)
		},
		"an insert": func() { _, _ = ops.Origins{}.InsertMany(ctx, jobs, insert) },
		"a job":     func() { _ = ops.OfJob(ctx, metadata) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, hot), "%s allocates though nothing is traced", name)
	}
	exports.Stop(ctx)
}
