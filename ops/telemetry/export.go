package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Gather implements prometheus.Gatherer.
func (g whatThereIs) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.from.Gather()
	if len(families) > 0 {
		err = nil
	}
	return families, err
}

// report counts failed exports, and logs the first of a row of them and the end of the row.
type report struct {
	signal   string
	logger   *slog.Logger
	failures prometheus.Counter
	failing  atomic.Bool
}

func (r *report) ended(ctx context.Context, err error) {
	switch {
	case err != nil:
		r.failures.Inc()
		if !r.failing.Swap(true) {
			r.logger.WarnContext(ctx, "the OpenTelemetry collector takes nothing", "signal", r.signal, "error", err)
		}
	case r.failing.Swap(false):
		r.logger.InfoContext(ctx, "the OpenTelemetry collector takes exports again", "signal", r.signal)
	}
}

// boundedProcessor drops, and counts, the spans that are more than the queue has room for.
type boundedProcessor struct {
	sdktrace.SpanProcessor
	waiting atomic.Int64
	dropped prometheus.Counter
}

// OnEnd implements sdktrace.SpanProcessor. It never waits.
func (p *boundedProcessor) OnEnd(span sdktrace.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	if p.waiting.Add(1) > queueLength {
		p.waiting.Add(-1)
		p.dropped.Inc()
		return
	}
	p.SpanProcessor.OnEnd(span)
}

// left says that spans wait no longer.
func (p *boundedProcessor) left(n int) { p.waiting.Add(int64(-n)) }

// spanExporter exports spans without what may be private in them, and handles its failures itself.
type spanExporter struct {
	next     sdktrace.SpanExporter
	scrub    func(string) string
	report   *report
	exported func(int)
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer e.exported(len(spans))
	safe := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		safe[i] = safeSpan{span, e.scrub}
	}
	e.report.ended(ctx, e.next.ExportSpans(ctx, safe))
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e *spanExporter) Shutdown(ctx context.Context) error { return e.next.Shutdown(ctx) }

// safeSpan is a span without the texts of errors, which quote values, and with secrets scrubbed.
type safeSpan struct {
	sdktrace.ReadOnlySpan
	scrub func(string) string
}

// Status implements sdktrace.ReadOnlySpan.
func (s safeSpan) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

// Attributes implements sdktrace.ReadOnlySpan.
func (s safeSpan) Attributes() []attribute.KeyValue { return s.safe(s.ReadOnlySpan.Attributes()) }

// Events implements sdktrace.ReadOnlySpan.
func (s safeSpan) Events() []sdktrace.Event {
	events := append([]sdktrace.Event(nil), s.ReadOnlySpan.Events()...)
	for i := range events {
		events[i].Attributes = s.safe(events[i].Attributes)
	}
	return events
}

func (s safeSpan) safe(attrs []attribute.KeyValue) []attribute.KeyValue {
	safe := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		switch {
		case a.Key == "exception.message" || a.Key == "exception.stacktrace":
			continue
		case a.Value.Type() == attribute.STRING:
			a = a.Key.String(s.scrub(a.Value.AsString()))
		}
		safe = append(safe, a)
	}
	return safe
}

// metricExporter handles its failures itself.
type metricExporter struct {
	sdkmetric.Exporter
	report *report
}

// Export implements sdkmetric.Exporter.
func (e *metricExporter) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	e.report.ended(ctx, e.Exporter.Export(ctx, metrics))
	return nil
}
