// Package otlptest is an OpenTelemetry collector for tests: it listens on loopback and reads what OTLP
// exporters send over HTTP.
package otlptest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span that came.
type Span struct {
	Service, Name         string
	Trace, ID, Parent     string // hex; Parent is "" of a root
	Attributes            map[string]string
	Kind                  string
	Failed                bool
	StatusText, EventText string
}

// Collector takes traces and metrics.
type Collector struct {
	URL string

	mu      sync.Mutex
	spans   []Span
	metrics map[string]int // data points by name
	traced  map[string]int // exemplars with a trace, by name
	raw     []byte
	headers http.Header
}

// New starts a collector that runs until the test ends. What it cannot read fails the test.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{metrics: map[string]int{}, traced: map[string]int{}}
	mux := http.NewServeMux()
	take := func(read func([]byte) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				c.mu.Lock()
				c.raw, c.headers = append(c.raw, body...), r.Header
				err = read(body)
				c.mu.Unlock()
			}
			if err != nil {
				t.Errorf("export at %s: %v", r.URL.Path, err)
				http.Error(w, "not OTLP", http.StatusBadRequest)
			}
		}
	}
	mux.Handle("POST /v1/traces", take(c.takeTraces))
	mux.Handle("POST /v1/metrics", take(c.takeMetrics))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) takeTraces(body []byte) error {
	var request tracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		return err
	}
	for _, of := range request.ResourceSpans {
		service := texts(of.Resource.Attributes)["service.name"]
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				span := Span{
					Service: service, Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId),
					Parent: hex.EncodeToString(s.ParentSpanId), Attributes: texts(s.Attributes), Kind: s.Kind.String(),
					Failed: s.Status.GetCode() == 2, StatusText: s.Status.GetMessage(),
				}
				for _, event := range s.Events {
					span.EventText += event.Name + " " + texts(event.Attributes)["exception.message"]
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return nil
}

func (c *Collector) takeMetrics(body []byte) error {
	var request metricspb.ExportMetricsServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		return err
	}
	for _, of := range request.ResourceMetrics {
		for _, scope := range of.ScopeMetrics {
			for _, m := range scope.Metrics {
				c.metrics[m.Name] += len(m.GetSum().GetDataPoints()) + len(m.GetGauge().GetDataPoints()) + len(m.GetHistogram().GetDataPoints())
				for _, point := range m.GetHistogram().GetDataPoints() {
					for _, exemplar := range point.Exemplars {
						if len(exemplar.TraceId) > 0 {
							c.traced[m.Name]++
						}
					}
				}
			}
		}
	}
	return nil
}

func texts(attrs []*commonpb.KeyValue) map[string]string {
	found := map[string]string{}
	for _, a := range attrs {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			found[a.Key] = v.StringValue
		default:
			found[a.Key] = a.Value.String()
		}
	}
	return found
}

// Spans lists what came.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Points is how many data points of a metric came, and how many of its exemplars name a trace.
func (c *Collector) Points(name string) (points, exemplars int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.metrics[name], c.traced[name]
}

// Raw is all that came.
func (c *Collector) Raw() string { c.mu.Lock(); defer c.mu.Unlock(); return string(c.raw) }

// Header is one of the last request's.
func (c *Collector) Header(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Get(name)
}
