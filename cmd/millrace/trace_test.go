package main

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/ops/otlptest"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// tracedFleet is an API process and a worker process that export to a collector, and a workspace.
type tracedFleet struct {
	*fleetUnderTest
	collector *otlptest.Collector
	space     tenants.Workspace
	api       *lockedBuffer
	database  string
	stop      func()
}

func newTracedFleet(t *testing.T, queues string) *tracedFleet {
	t.Helper()
	collector, db := otlptest.New(t), pgtest.New(t)
	only(t, "DATABASE_URL", db.URL, "MILLRACE_ADDR", "127.0.0.1:0", "MILLRACE_LOG", "debug", "MILLRACE_SHARD_TIME", "1ms",
		"OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL, "OTEL_EXPORTER_OTLP_HEADERS", "x-scope=the%20team", "OTEL_BSP_SCHEDULE_DELAY", "50",
		"MILLRACE_QUEUES", queues)
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
	return &tracedFleet{
		fleetUnderTest: &fleetUnderTest{t: t, key: key, url: "http://" + strings.Fields(api.await(" addr="))[0]},
		collector:      collector, space: space, api: api.log, database: db.URL, stop: func() { stopWorker(); stopAPI() },
	}
}

// callersSpan is the span of the caller that sends the requests of these tests.
const callersSpan = "b7ad6b7169203331"

// postTraced sends a request in a trace of its own.
func (f *tracedFleet) postTraced(path, body, trace string) []byte {
	f.t.Helper()
	status, answer := f.call(http.MethodPost, path, "application/json", strings.NewReader(body),
		"X-Idempotency-Key", "idempotency-of-the-trace", "X-Request-Id", "request-of-the-trace", "Traceparent", "00-"+trace+"-"+callersSpan+"-01")
	require.Equal(f.t, http.StatusAccepted, status, string(answer))
	return answer
}

// spans are those of a trace, by id and name. Each hangs together with the request: its parent is in an export, too.
func (f *tracedFleet) spans(trace string) (byID map[string]otlptest.Span, byName map[string][]otlptest.Span) {
	f.t.Helper()
	byID, byName = map[string]otlptest.Span{}, map[string][]otlptest.Span{}
	for _, span := range f.collector.Spans() {
		if span.Trace == trace {
			byID[span.ID] = span
			byName[span.Name] = append(byName[span.Name], span)
		}
	}
	for _, span := range byID {
		if span.Parent != callersSpan {
			require.Contains(f.t, byID, span.Parent, "the parent of %q is in no export; the trace has %v", span.Name, slices.Sorted(maps.Keys(byName)))
		}
	}
	return byID, byName
}

// requireJobs holds that the request has jobs of each kind as its children, at least so many.
func (f *tracedFleet) requireJobs(byName map[string][]otlptest.Span, request string, atLeast map[string]int) {
	f.t.Helper()
	require.Len(f.t, byName[request], 1)
	root := byName[request][0]
	require.Equal(f.t, "millrace-api", root.Service)
	require.Equal(f.t, callersSpan, root.Parent)
	for kind, n := range atLeast {
		require.GreaterOrEqual(f.t, len(byName[kind]), n, "jobs %s in the trace: %v", kind, slices.Sorted(maps.Keys(byName)))
		for _, job := range byName[kind] {
			require.Equal(f.t, root.ID, job.Parent, "%s is not a child of the request", kind)
			require.Equal(f.t, "millrace-worker", job.Service)
			require.Equal(f.t, "request-of-the-trace", job.Attributes["millrace.request_id"], kind)
			require.Equal(f.t, f.space.ID.String(), job.Attributes["millrace.workspace_id"], kind)
		}
	}
}

// requireEvent holds that a job wrote an event about an entity, and that the event's SQL is in the trace below it.
func (f *tracedFleet) requireEvent(byID map[string]otlptest.Span, byName map[string][]otlptest.Span, event, entity, job string) {
	f.t.Helper()
	require.NotEmpty(f.t, byName["event "+event], "no event %s in the trace: %v", event, slices.Sorted(maps.Keys(byName)))
	span := byName["event "+event][0]
	require.Equal(f.t, entity, span.Attributes["millrace.entity_id"], event)
	require.Equal(f.t, job, byID[span.Parent].Name, event)
	require.True(f.t, slices.ContainsFunc(byName["INSERT event_log"], func(s otlptest.Span) bool { return s.Parent == span.ID }), "the SQL of %s is not its child", event)
}

// requirePrivate holds that no secret and no data of a request was exported.
func (f *tracedFleet) requirePrivate(texts ...string) {
	f.t.Helper()
	for _, private := range append(texts, f.key, "X-Idempotency-Key", "idempotency-of-the-trace", f.database, "where id =") {
		require.False(f.t, strings.Contains(f.collector.Raw(), private), private)
	}
}

func idIn(t *testing.T, member string, answer []byte) string {
	t.Helper()
	found := regexp.MustCompile(`"` + member + `":"([^"]+)"`).FindSubmatch(answer)
	require.Len(t, found, 2, string(answer))
	return string(found[1])
}

// A tune that is submitted to an API process and worked by a worker process is one trace: the request, the
// jobs that it caused, their SQL and the events that they wrote.
func TestATuneIsOneTrace(t *testing.T) {
	f := newTracedFleet(t, "trials:2,tunes:1,maintenance:1")
	f.upload("bars", ohlcv.Sample())
	const trace = "0af7651916cd43dd8448eb211c80319c"
	tune := idIn(t, "tune_id", f.postTraced("/backtests/tune",
		`{"dataset":"bars","strategy_name":"sma_cross","param_space":{"fast":{"low":2,"high":61,"step":1},"slow":[70,80,90,100]}}`, trace))
	require.Equal(t, "completed", f.wait(tune, ended).Status)
	f.stop()

	byID, byName := f.spans(trace)
	f.requireJobs(byName, "POST /backtests/tune", map[string]int{"tune.plan": 1, "tune.shard": 3, "tune.collect": 1})
	f.requireEvent(byID, byName, "backtest.tune.queued", tune, "POST /backtests/tune")
	f.requireEvent(byID, byName, "backtest.tune.running", tune, "tune.plan")
	f.requireEvent(byID, byName, "backtest.tune.completed", tune, "tune.collect")
	require.Contains(t, f.api.String(), "trace_id="+trace, "lines of the request name the trace")
	points, exemplars := f.collector.Points("http_request_duration_seconds")
	require.Positive(t, points)
	require.Positive(t, exemplars, "the histogram names a trace")
	require.Equal(t, "the team", f.collector.Header("X-Scope"))
	f.requirePrivate("params")
}

// A walk-forward is one trace with the jobs of all its folds, those released later too, and what scores them; and an
// ingestion with the job that reads and stores the document.
func TestAWalkForwardAndAnIngestionAreOneTraceEach(t *testing.T) {
	f := newTracedFleet(t, "trials:2,tunes:2,wfo:1,ingestion:1,maintenance:1")
	f.upload("bars", ohlcv.Sample())
	const ofWalk, ofText = "1af7651916cd43dd8448eb211c80319c", "2af7651916cd43dd8448eb211c80319c"
	ingest := idIn(t, "job_id", f.postTraced("/ingest/text", `{"title":"note","text":"A moving average crossover fails in a market without trend."}`, ofText))
	wfo := idIn(t, "wfo_id", f.postTraced("/backtests/wfo", `{"dataset":"bars","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[20,40]},
		"gates":{"max_drawdown_pct":99,"min_trades":0},"wfo_config":{"train_days":1460,"test_days":365}}`, ofWalk))
	done := f.waitWFO(wfo, wfoEnded)
	require.Equal(t, "completed", done.Status)
	require.Eventually(t, func() bool {
		_, answer := f.call(http.MethodGet, "/ingest/jobs/"+ingest, "", nil)
		return strings.Contains(string(answer), `"status":"completed"`)
	}, time.Minute, 20*time.Millisecond)
	f.stop()

	byID, byName := f.spans(ofWalk)
	require.Greater(t, done.NFolds, 4, "folds that wait for others")
	f.requireJobs(byName, "POST /backtests/wfo", map[string]int{
		"tune.plan": done.NFolds, "wfo.candidates": 1, "wfo.score": 1, "wfo.collect": 1,
	})
	f.requireEvent(byID, byName, "wfo.run.pending", wfo, "POST /backtests/wfo")
	f.requireEvent(byID, byName, "wfo.run.completed", wfo, "wfo.collect")
	byID, byName = f.spans(ofText)
	f.requireJobs(byName, "POST /ingest/text", map[string]int{"ingest.source": 1})
	f.requireEvent(byID, byName, "ingestion.job.queued", ingest, "POST /ingest/text")
	f.requireEvent(byID, byName, "ingestion.job.completed", ingest, "ingest.source")
	f.requirePrivate("moving average", "train_days")
}
