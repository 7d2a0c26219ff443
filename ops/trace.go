package ops

import (
	"context"
	"time"

	"github.com/getsentry/sentry-go"
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

type nameKey struct{}

// Begin opens the scope of one request or job, which its reports and its trace name: the method and the
// template of its route, or the job's kind. Tags and measures are part of what is reported with its
// context. Call finish when it is over. A request inside another is part of the other's trace.
func (r *Reporter) Begin(ctx context.Context, operation, name string) (_ context.Context, finish func(Outcome)) {
	if r == nil {
		return ctx, func(Outcome) {}
	}
	ctx = context.WithValue(ctx, nameKey{}, name)
	if sentry.TransactionFromContext(ctx) != nil {
		return ctx, func(Outcome) {}
	}
	ctx = sentry.SetHubOnContext(ctx, r.hub.Clone())
	span := sentry.StartTransaction(ctx, name, sentry.WithOpName(operation), sentry.WithTransactionSource(sentry.SourceRoute))
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
	if r == nil {
		return ctx
	}
	return sentry.SetHubOnContext(context.WithValue(ctx, nameKey{}, name), r.hub.Clone())
}

// Tag labels the reports of a context's request or job with one of:
// kb_status, kb_confidence, strategy, workspace_id, collection, embed_model.
func Tag(ctx context.Context, name, value string) {
	if hub := sentry.GetHubFromContext(ctx); hub != nil && value != "" {
		hub.Scope().SetTag(name, value)
		if span := sentry.TransactionFromContext(ctx); span != nil {
			span.SetTag(name, value)
		}
	}
}

// Measure notes how long a part of the request took, as in kb.embed_ms.
func Measure(ctx context.Context, name string, took time.Duration) {
	if span := sentry.TransactionFromContext(ctx); span != nil {
		span.SetData(name, float64(took.Microseconds())/1000)
	}
}
