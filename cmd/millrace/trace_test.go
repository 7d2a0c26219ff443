package main

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/ops/otlptest"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// A tune that is submitted to an API process and worked by a worker process is one trace: the request, the
// jobs that it caused, their SQL and the events that they wrote.
func TestATuneIsOneTrace(t *testing.T) {
	collector, db := otlptest.New(t), pgtest.New(t)
	only(t, "DATABASE_URL", db.URL, "MILLRACE_ADDR", "127.0.0.1:0", "MILLRACE_LOG", "debug", "MILLRACE_SHARD_TIME", "1ms",
		"OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL, "OTEL_EXPORTER_OTLP_HEADERS", "x-scope=the%20team", "OTEL_BSP_SCHEDULE_DELAY", "50",
		"MILLRACE_QUEUES", "trials:2,tunes:1,maintenance:1")
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(t, err)
	st := stores.New(pool, nil)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "traces", 2)
	require.NoError(t, err)
	key, err := st.Tenants.CreateKey(t.Context(), space.ID, "traces", tenants.RoleOwner)
	require.NoError(t, err)
	pool.Close()

	api, stopAPI := runVerb(t, "api")
	_, stopWorker := runVerb(t, "worker")
	f := &fleetUnderTest{t: t, key: key, url: "http://" + strings.Fields(api.await(" addr="))[0]}
	f.upload("bars", ohlcv.Sample())
	const traceID, callersSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	status, answer := f.call(http.MethodPost, "/backtests/tune", "application/json",
		strings.NewReader(`{"dataset":"bars","strategy_name":"sma_cross","param_space":{"fast":{"low":2,"high":61,"step":1},"slow":[70,80,90,100]}}`),
		"X-Idempotency-Key", "idempotency-of-the-trace", "X-Request-Id", "request-of-the-trace", "Traceparent", "00-"+traceID+"-"+callersSpan+"-01")
	require.Equal(t, http.StatusAccepted, status, string(answer))
	tune := regexp.MustCompile(`"tune_id":"([^"]+)"`).FindStringSubmatch(string(answer))
	require.Len(t, tune, 2, string(answer))
	require.Equal(t, "completed", f.wait(tune[1], ended).Status)
	stopWorker()
	stopAPI()

	byID, byName := map[string]otlptest.Span{}, map[string][]otlptest.Span{}
	for _, span := range collector.Spans() {
		if span.Trace == traceID {
			byID[span.ID] = span
			byName[span.Name] = append(byName[span.Name], span)
		}
	}
	names := slices.Sorted(maps.Keys(byName))
	for _, span := range byID {
		if span.Parent != callersSpan {
			require.Contains(t, byID, span.Parent, "the parent of %q is in no export; the trace has %v", span.Name, names)
		}
	}
	for _, name := range []string{"POST /backtests/tune", "tune.plan", "tune.collect", "INSERT event_log", "event backtest.tune.completed"} {
		require.NotEmpty(t, byName[name], "%q is not in the trace: %v", name, names)
	}
	request := byName["POST /backtests/tune"][0]
	require.Equal(t, "millrace-api", request.Service)
	require.Equal(t, callersSpan, request.Parent)
	require.Greater(t, len(byName["tune.shard"]), 2, "shards that shards have enqueued are in the trace: %v", names)
	for _, name := range []string{"tune.plan", "tune.shard", "tune.collect"} {
		for _, job := range byName[name] {
			require.Equal(t, request.ID, job.Parent, "%s is not a child of the request", name)
			require.Equal(t, "millrace-worker", job.Service)
			require.Equal(t, "request-of-the-trace", job.Attributes["millrace.request_id"])
			require.Equal(t, space.ID.String(), job.Attributes["millrace.workspace_id"])
		}
	}
	completed := byName["event backtest.tune.completed"][0]
	require.Equal(t, tune[1], completed.Attributes["millrace.entity_id"])
	require.Equal(t, "tune.collect", byID[completed.Parent].Name)
	written := slices.ContainsFunc(byName["INSERT event_log"], func(s otlptest.Span) bool { return s.Parent == completed.ID })
	require.True(t, written, "the event's SQL is its child")
	require.Contains(t, api.log.String(), "trace_id="+traceID, "lines of the request name the trace")
	points, exemplars := collector.Points("http_request_duration_seconds")
	require.Positive(t, points)
	require.Positive(t, exemplars, "the histogram names a trace")
	require.Equal(t, "the team", collector.Header("X-Scope"))
	for _, private := range []string{key, "X-Idempotency-Key", "idempotency-of-the-trace", "params", db.URL, "where id ="} {
		require.False(t, strings.Contains(collector.Raw(), private), private)
	}
}
