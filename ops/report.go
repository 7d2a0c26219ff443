package ops

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/getsentry/sentry-go"
	"go.opentelemetry.io/otel/trace"
)

// ReportOptions configure a Reporter.
type ReportOptions struct {
	DSN         string // of Sentry; "" reports nothing
	Environment string
	Release     string
	TraceRate   float64  // share of requests whose timing is sent, 0 to 1
	Secrets     []string // texts that must never leave the process
	// Tracer makes the spans of requests and jobs; nil: there are none.
	Tracer trace.Tracer
}

// Reporter sends internal errors to Sentry, and times requests and jobs for it and for OpenTelemetry. A nil
// Reporter does nothing.
type Reporter struct {
	hub    *sentry.Hub  // nil: no Sentry
	tracer trace.Tracer // nil: no OpenTelemetry
}

// NewReporter makes a reporter, or nil when there are neither a DSN nor a tracer.
func NewReporter(opts ReportOptions) (*Reporter, error) {
	if opts.DSN == "" {
		if opts.Tracer == nil {
			return nil, nil
		}
		return &Reporter{tracer: opts.Tracer}, nil
	}
	scrub := newScrubber(opts.Secrets)
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: opts.DSN, Environment: opts.Environment, Release: opts.Release,
		AttachStacktrace: true, EnableTracing: opts.TraceRate > 0, TracesSampleRate: opts.TraceRate,
		BeforeSend:            func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event { return scrub.event(e) },
		BeforeSendTransaction: func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event { return scrub.event(e) },
		MaxBreadcrumbs:        -1,
	})
	if err != nil {
		return nil, fmt.Errorf("sentry: %w", err)
	}
	return &Reporter{sentry.NewHub(client, sentry.NewScope()), opts.Tracer}, nil
}

// Flush sends what is waiting, until ctx ends.
func (r *Reporter) Flush(ctx context.Context) error {
	if r == nil || r.hub == nil {
		return nil
	}
	if !r.hub.Client().FlushWithContext(ctx) {
		return fmt.Errorf("sentry: reports were left unsent: %w", context.Cause(ctx))
	}
	return nil
}

// Report sends an error that is ours. The caller's mistakes are not reported.
func (r *Reporter) Report(ctx context.Context, err error) {
	if r == nil || r.hub == nil || err == nil {
		return
	}
	hub := sentry.GetHubFromContext(ctx)
	if hub == nil {
		hub = r.hub.Clone()
	}
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	name, _ := ctx.Value(nameKey{}).(string)
	hub.WithScope(func(scope *sentry.Scope) {
		for _, a := range known {
			scope.SetTag(a.Key, a.Value.String())
		}
		if at := trace.SpanContextFromContext(ctx); at.IsValid() {
			scope.SetTag("trace_id", at.TraceID().String())
		}
		scope.AddEventProcessor(func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event {
			e.Transaction = name
			return e
		})
		hub.CaptureException(err)
	})
}
