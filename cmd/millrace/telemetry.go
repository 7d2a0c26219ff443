package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"millrace/ops"
	"millrace/ops/telemetry"
	"millrace/store"
)

// telemetryFlags are the standard variables of OpenTelemetry. Other ones of the exporters, as for
// certificates, are read by the SDK.
type telemetryFlags struct {
	Collector        string `name:"otel-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"OpenTelemetry collector (OTLP over HTTP) that traces and metrics go to, as in http://127.0.0.1:4318. Unset: nothing is traced."`
	CollectorTraces  string `name:"otel-traces-endpoint" env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" help:"Where traces go, path included. Default: /v1/traces of the collector."`
	CollectorMetrics string `name:"otel-metrics-endpoint" env:"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" help:"Where metrics go, path included. Default: /v1/metrics of the collector."`
	CollectorHeaders string `name:"otel-headers" env:"OTEL_EXPORTER_OTLP_HEADERS" placeholder:"NAME=VALUE,…" help:"Headers that the collector asks for, percent-encoded."`
	CollectorForm    string `name:"otel-protocol" env:"OTEL_EXPORTER_OTLP_PROTOCOL" default:"http/protobuf" enum:"http/protobuf" help:"Form of the exports: http/protobuf."`
	CollectorTimeout int    `name:"otel-timeout" env:"OTEL_EXPORTER_OTLP_TIMEOUT" default:"10000" help:"Milliseconds that an export may take, retries included."`
	OtelTraces       string `name:"otel-traces" env:"OTEL_TRACES_EXPORTER" default:"otlp" enum:"otlp,none" help:"none: no traces, whatever the collector."`
	OtelMetrics      string `name:"otel-metrics" env:"OTEL_METRICS_EXPORTER" default:"otlp" enum:"otlp,none" help:"none: no metrics to the collector; Prometheus has them all the same."`
	OtelInterval     int    `name:"otel-metric-interval" env:"OTEL_METRIC_EXPORT_INTERVAL" default:"60000" help:"Milliseconds between exports of metrics."`
	OtelBatch        int    `name:"otel-span-delay" env:"OTEL_BSP_SCHEDULE_DELAY" default:"5000" help:"Milliseconds that spans wait for others to be exported with, at most."`
	OtelSampler      string `name:"otel-sampler" env:"OTEL_TRACES_SAMPLER" default:"parentbased_always_on" enum:"always_on,always_off,traceidratio,parentbased_always_on,parentbased_always_off,parentbased_traceidratio" help:"Which traces are exported; parentbased: those that the caller has decided on as it decided."`
	OtelRatio        string `name:"otel-sampler-arg" env:"OTEL_TRACES_SAMPLER_ARG" help:"Share of traces that a sampler of ratio exports, 0 to 1. Default: 1."`
	OtelService      string `name:"otel-service" env:"OTEL_SERVICE_NAME" help:"Name of the service in traces. Default: millrace-api, millrace-worker or millrace-dev."`
	OtelResource     string `name:"otel-resource" env:"OTEL_RESOURCE_ATTRIBUTES" placeholder:"NAME=VALUE,…" help:"What else traces and metrics say of the process, percent-encoded."`
	OtelDisabled     bool   `name:"otel-disabled" env:"OTEL_SDK_DISABLED" help:"Export neither traces nor metrics, whatever else is set."`
}

// check names what is wrong with them.
func (f telemetryFlags) check() error {
	_, err := f.options("", "")
	return err
}

// options are those of the exports, less what belongs to the process.
func (f telemetryFlags) options(service, version string) (telemetry.Options, error) {
	millis := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	opts := telemetry.Options{Timeout: millis(f.CollectorTimeout), Interval: millis(f.OtelInterval), Batch: millis(f.OtelBatch)}
	var faults [5]error
	if !f.OtelDisabled && f.OtelTraces != "none" {
		opts.TracesURL, faults[0] = f.address(f.CollectorTraces, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces")
	}
	if !f.OtelDisabled && f.OtelMetrics != "none" {
		opts.MetricsURL, faults[1] = f.address(f.CollectorMetrics, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "/v1/metrics")
	}
	opts.Headers, faults[2] = pairs(f.CollectorHeaders, "OTEL_EXPORTER_OTLP_HEADERS")
	opts.Sampler, faults[3] = f.sampler()
	opts.Attributes, faults[4] = f.resource(service, version)
	err := errors.Join(faults[:]...)
	for _, time := range []struct {
		name string
		ms   int
	}{{"OTEL_EXPORTER_OTLP_TIMEOUT", f.CollectorTimeout}, {"OTEL_METRIC_EXPORT_INTERVAL", f.OtelInterval}, {"OTEL_BSP_SCHEDULE_DELAY", f.OtelBatch}} {
		if time.ms < 1 || time.ms > 86_400_000 {
			err = errors.Join(err, fmt.Errorf("%s is %d: it must be from 1 to 86400000 milliseconds", time.name, time.ms))
		}
	}
	return opts, err
}

// start begins a process's exports: nil where nothing is to be exported.
func (f telemetryFlags) start(ctx context.Context, life *lifecycle, env *environment, service string, metrics *ops.Metrics, secrets ...string) (*telemetry.Telemetry, error) {
	opts, err := f.options(service, env.version())
	if err != nil {
		return nil, configError{err}
	}
	opts.Metrics, opts.Logger, opts.Secrets = metrics, env.logger, secrets
	exports, err := telemetry.Start(ctx, opts)
	if err != nil {
		return nil, configError{errors.New("OTEL_EXPORTER_OTLP_…: the exporter cannot be made")} // the error may quote a header
	}
	if exports != nil {
		// What the SDK says of itself; our exporters report their own failures.
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { env.logger.Debug("OpenTelemetry", "error", err) }))
		life.onStop(func(ctx context.Context) error { exports.Stop(ctx); return nil })
	}
	return exports, nil
}

// address is where a signal goes: its own URL, or a path of the collector's.
func (f telemetryFlags) address(own, variable, path string) (string, error) {
	whole := own
	if own == "" {
		if f.Collector == "" {
			return "", nil
		}
		whole, variable = strings.TrimSuffix(f.Collector, "/")+path, "OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	at, err := url.Parse(whole)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return "", fmt.Errorf("%s is not a URL of http or https", variable) // it may hold a password
	}
	return whole, nil
}

func (f telemetryFlags) sampler() (sdktrace.Sampler, error) {
	ratio := 1.0
	if f.OtelRatio != "" {
		var err error
		if ratio, err = strconv.ParseFloat(f.OtelRatio, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil, errors.New("OTEL_TRACES_SAMPLER_ARG must be from 0 to 1")
		}
	}
	name, byParent := strings.CutPrefix(f.OtelSampler, "parentbased_")
	sampler := sdktrace.AlwaysSample()
	switch name {
	case "always_off":
		sampler = sdktrace.NeverSample()
	case "traceidratio":
		sampler = sdktrace.TraceIDRatioBased(ratio)
	}
	if byParent {
		sampler = sdktrace.ParentBased(sampler)
	}
	return sampler, nil
}

// resource is what every export says of the process.
func (f telemetryFlags) resource(service, version string) ([]attribute.KeyValue, error) {
	given, err := pairs(f.OtelResource, "OTEL_RESOURCE_ATTRIBUTES")
	if err != nil {
		return nil, err
	}
	about := map[string]string{"service.name": service, "service.version": version}
	for name, value := range given {
		about[name] = value
	}
	if f.OtelService != "" {
		about["service.name"] = f.OtelService
	}
	attrs := make([]attribute.KeyValue, 0, len(about))
	for name, value := range about {
		attrs = append(attrs, attribute.String(name, value))
	}
	return attrs, nil
}

// pairs reads NAME=VALUE,… with percent-encoded values, as OpenTelemetry writes them.
func pairs(text, variable string) (map[string]string, error) {
	found := map[string]string{}
	for i, pair := range strings.Split(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, fmt.Errorf("%s: part %d is not NAME=VALUE", variable, i+1) // the value may be a key
		}
		found[name] = value
	}
	return found, nil
}

// spanTracer is the tracer of a pool's statements; an interface without value where nothing is traced.
func spanTracer(exports *telemetry.Telemetry) store.SpanTracer {
	if sql := exports.SQL(); sql != nil {
		return sql
	}
	return nil
}
