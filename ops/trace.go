package ops

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Outcome is how a request or job ended, as its trace says it.
type Outcome struct {
	span sentry.SpanStatus
	http int
}

// The ends of a job.
var (
	OutcomeOK       = Outcome{span: sentry.SpanStatusOK}
	OutcomeCanceled = Outcome{span: sentry.SpanStatusCanceled}
	OutcomeRefused  = Outcome{span: sentry.SpanStatusInvalidArgument} // the input is at fault
	OutcomeWaits    = Outcome{span: sentry.SpanStatusUnavailable}     // it runs again later, at no cost
	OutcomeFenced   = Outcome{span: sentry.SpanStatusAborted}         // another attempt has taken over
	OutcomeFailed   = Outcome{span: sentry.SpanStatusInternalError}
)

// OutcomeHTTP is the end of a request that was answered with a code.
func OutcomeHTTP(code int) Outcome { return Outcome{sentry.HTTPtoSpanStatus(code), code} }

// failed reports whether the end is an error of ours.
func (o Outcome) failed() bool {
	return o.http >= 500 || o.http == 0 && o.span == sentry.SpanStatusInternalError
}

type nameKey struct{}

// Begin opens the scope of one request or job, which its reports and its trace name: the method and the
// template of its route, or the job's kind. What With has put into the context, tags and measures are part
// of what is reported with it, and of its span. Call finish when it is over. A request inside another is
// part of the other's trace.
func (r *Reporter) Begin(ctx context.Context, operation, name string) (_ context.Context, finish func(Outcome)) {
	if r == nil {
		return ctx, func(Outcome) {}
	}
	ctx = context.WithValue(ctx, nameKey{}, name)
	ctx, span := r.startSpan(ctx, operation, name)
	ctx, finishTransaction := r.startTransaction(ctx, operation, name)
	return ctx, func(outcome Outcome) {
		finishTransaction(outcome)
		endSpan(span, outcome)
	}
}

// startSpan begins a span of OpenTelemetry where traces are exported.
func (r *Reporter) startSpan(ctx context.Context, operation, name string) (context.Context, trace.Span) {
	if r.tracer == nil {
		return ctx, nil
	}
	kind := trace.SpanKindServer
	var attrs []attribute.KeyValue
	switch {
	case operation != "http.server":
		kind = trace.SpanKindConsumer
		attrs = append(attrs, attribute.String("messaging.system", "river"))
	case trace.SpanFromContext(ctx).IsRecording():
		kind = trace.SpanKindInternal // a request of a page's own
	}
	if method, route, ok := strings.Cut(name, " "); ok {
		attrs = append(attrs, attribute.String("http.request.method", method), attribute.String("http.route", route))
	}
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	for _, a := range known {
		if a.Key != "route" {
			attrs = append(attrs, attribute.String("millrace."+a.Key, a.Value.String()))
		}
	}
	return r.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
}

func endSpan(span trace.Span, outcome Outcome) {
	if span == nil {
		return
	}
	if outcome.http > 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", outcome.http))
	} else {
		span.SetAttributes(attribute.String("millrace.outcome", outcome.span.String()))
	}
	if outcome.failed() {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// startTransaction begins a transaction of Sentry, as part of the same trace.
func (r *Reporter) startTransaction(ctx context.Context, operation, name string) (context.Context, func(Outcome)) {
	if r.hub == nil || sentry.TransactionFromContext(ctx) != nil {
		return ctx, func(Outcome) {}
	}
	opts := []sentry.SpanOption{sentry.WithOpName(operation), sentry.WithTransactionSource(sentry.SourceRoute)}
	if at := trace.SpanContextFromContext(ctx); at.IsValid() {
		opts = append(opts, sentry.ContinueFromTrace(at.TraceID().String()+"-"+at.SpanID().String()))
	}
	ctx = sentry.SetHubOnContext(ctx, r.hub.Clone())
	span := sentry.StartTransaction(ctx, name, opts...)
	return span.Context(), func(outcome Outcome) {
		span.Status = outcome.span
		if outcome.http > 0 {
			span.SetData("http.response.status_code", outcome.http)
		}
		span.Finish()
	}
}

// Untraced is Begin for what is reported but not worth a trace: probes, scrapes, streams.
func (r *Reporter) Untraced(ctx context.Context, name string) context.Context {
	if r == nil || r.hub == nil {
		return ctx
	}
	return sentry.SetHubOnContext(context.WithValue(ctx, nameKey{}, name), r.hub.Clone())
}

// Tag labels the reports and the span of a context's request or job with one of:
// kb_status, kb_confidence, strategy, workspace_id, collection, embed_model.
func Tag(ctx context.Context, name, value string) {
	if value == "" {
		return
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.String("millrace."+name, value))
	}
	if hub := sentry.GetHubFromContext(ctx); hub != nil {
		hub.Scope().SetTag(name, value)
		if span := sentry.TransactionFromContext(ctx); span != nil {
			span.SetTag(name, value)
		}
	}
}

// Measure notes how long a part of the request took, as in kb.embed_ms.
func Measure(ctx context.Context, name string, took time.Duration) {
	ms := float64(took.Microseconds()) / 1000
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.Float64("millrace."+name, ms))
	}
	if span := sentry.TransactionFromContext(ctx); span != nil {
		span.SetData(name, ms)
	}
}

// Observe adds a duration to a histogram, with the trace of its context as the exemplar where that is exported.
func Observe(ctx context.Context, histogram prometheus.Observer, took time.Duration) {
	if at := trace.SpanContextFromContext(ctx); at.IsSampled() {
		if with, ok := histogram.(prometheus.ExemplarObserver); ok {
			with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": at.TraceID().String()})
			return
		}
	}
	histogram.Observe(took.Seconds())
}
