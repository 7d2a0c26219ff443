package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"millrace/ops"
	"millrace/ops/routine"
)

const (
	// queueLength is how many spans wait for the collector at most; about 2 MB.
	queueLength = 2048
	// stopWithin bounds the last export of a process that stops.
	stopWithin = 2 * time.Second
)

// Options say what is exported where.
type Options struct {
	TracesURL  string // as in http://127.0.0.1:4318/v1/traces; "": no traces
	MetricsURL string // as in http://127.0.0.1:4318/v1/metrics; "": no metrics
	Headers    map[string]string
	Timeout    time.Duration // of one export
	Batch      time.Duration // that spans wait for others at most; 0: 5 s
	Interval   time.Duration // between exports of metrics

	Sampler    sdktrace.Sampler // nil: every trace whose caller has not decided otherwise
	Attributes []attribute.KeyValue
	Secrets    []string // texts that must never leave the process

	Metrics *ops.Metrics
	Logger  *slog.Logger
}

// Telemetry is a process's exports. A nil Telemetry exports nothing.
type Telemetry struct {
	logger *slog.Logger
	stops  []func(context.Context) error
	traces *sdktrace.TracerProvider // nil: none
}

// Start begins to export, or returns nil when there is nowhere to. It connects to nothing: a collector may
// start later.
func Start(ctx context.Context, opts Options) (*Telemetry, error) {
	if opts.TracesURL == "" && opts.MetricsURL == "" {
		return nil, nil
	}
	t := &Telemetry{logger: opts.Logger}
	about := resource.NewSchemaless(opts.Attributes...)
	if opts.TracesURL != "" {
		if err := t.startTraces(ctx, opts, about); err != nil {
			return nil, err
		}
	}
	if opts.MetricsURL != "" {
		if err := t.startMetrics(ctx, opts, about); err != nil {
			t.Stop(ctx)
			return nil, err
		}
	}
	return t, nil
}

func (t *Telemetry) startTraces(ctx context.Context, opts Options, about *resource.Resource) error {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(opts.TracesURL), otlptracehttp.WithHeaders(opts.Headers),
		otlptracehttp.WithTimeout(opts.Timeout), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: opts.Timeout,
		}))
	if err != nil {
		return fmt.Errorf("export traces: %w", err)
	}
	safe := &spanExporter{
		next: exporter, scrub: ops.NewScrubber(opts.Secrets),
		report: &report{signal: "traces", logger: opts.Logger, failures: opts.Metrics.TelemetryFailures.WithLabelValues("traces")},
	}
	batches := []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(queueLength), sdktrace.WithMaxExportBatchSize(512), sdktrace.WithExportTimeout(opts.Timeout),
	}
	if opts.Batch > 0 {
		batches = append(batches, sdktrace.WithBatchTimeout(opts.Batch))
	}
	bounded := &boundedProcessor{SpanProcessor: sdktrace.NewBatchSpanProcessor(safe, batches...), dropped: opts.Metrics.TelemetrySpansDropped}
	safe.exported = bounded.left
	sampler := opts.Sampler
	if sampler == nil {
		sampler = sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(bounded), sdktrace.WithResource(about), sdktrace.WithSampler(sampler),
		sdktrace.WithRawSpanLimits(spanLimits()))
	t.stops = append(t.stops, func(ctx context.Context) error {
		err := t.traces.Shutdown(ctx)
		if err != nil {
			_ = exporter.Shutdown(ctx) // ends an export that still waits
		}
		return err
	})
	return nil
}

// spanLimits bound a span's size whatever is recorded in it.
func spanLimits() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = 512 // bytes
	return limits
}

func (t *Telemetry) startMetrics(ctx context.Context, opts Options, about *resource.Resource) error {
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(opts.MetricsURL), otlpmetrichttp.WithHeaders(opts.Headers),
		otlpmetrichttp.WithTimeout(opts.Timeout), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
	if err != nil {
		return fmt.Errorf("export metrics: %w", err)
	}
	safe := &metricExporter{Exporter: exporter, report: &report{
		signal: "metrics", logger: opts.Logger, failures: opts.Metrics.TelemetryFailures.WithLabelValues("metrics"),
	}}
	reader := sdkmetric.NewPeriodicReader(safe, sdkmetric.WithInterval(opts.Interval), sdkmetric.WithTimeout(opts.Timeout),
		sdkmetric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(whatThereIs{opts.Metrics.Registry}))))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(about))
	t.stops = append(t.stops, func(ctx context.Context) error {
		err := provider.Shutdown(ctx)
		if err != nil {
			_ = exporter.Shutdown(ctx)
		}
		return err
	})
	return nil
}

// Tracer makes the spans of this process; nil when no traces are exported.
func (t *Telemetry) Tracer() trace.Tracer {
	if t == nil || t.traces == nil {
		return nil
	}
	return t.traces.Tracer("millrace")
}

// SQL makes spans of SQL statements by what they do and to which table: their text and arguments are left
// out. nil when no traces are exported.
func (t *Telemetry) SQL() *otelpgx.Tracer {
	if t == nil || t.traces == nil {
		return nil
	}
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.traces), otelpgx.WithSpanNameFunc(statementName),
		otelpgx.WithDisableSQLStatementInAttributes(), otelpgx.WithDisableConnectionDetailsInAttributes())
}

// Stop exports what waits, within two seconds, and ends. What a collector does not take by then is lost,
// which is logged and not an error of the process.
func (t *Telemetry) Stop(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	var all routine.Group
	for _, stop := range t.stops {
		all.Run(func() error { return stop(ctx) })
	}
	if err := all.Wait(); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		t.logger.WarnContext(ctx, "telemetry was left unsent", "error", err)
	}
}

// whatThereIs gathers what can be: a collector that fails leaves its own figures out, no others.
type whatThereIs struct{ from prometheus.Gatherer }
