package ops

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/getsentry/sentry-go"
)

// ReportOptions configure a Reporter.
type ReportOptions struct {
	DSN         string // of Sentry; "" reports nothing
	Environment string
	Release     string
	TraceRate   float64  // share of requests whose timing is sent, 0 to 1
	Secrets     []string // texts that must never leave the process
}

// Reporter sends internal errors to Sentry. A nil Reporter sends nothing.
type Reporter struct{ hub *sentry.Hub }

// NewReporter makes a reporter, or nil when there is no DSN.
func NewReporter(opts ReportOptions) (*Reporter, error) {
	if opts.DSN == "" {
		return nil, nil
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
	return &Reporter{sentry.NewHub(client, sentry.NewScope())}, nil
}

// Flush sends what is waiting, until ctx ends.
func (r *Reporter) Flush(ctx context.Context) error {
	if r == nil {
		return nil
	}
	if !r.hub.Client().FlushWithContext(ctx) {
		return fmt.Errorf("sentry: reports were left unsent: %w", context.Cause(ctx))
	}
	return nil
}

// Begin opens the scope of one request or job: tags and measures of it are part of what is reported
// with its context. Call finish when it is over.
func (r *Reporter) Begin(ctx context.Context, operation, name string) (_ context.Context, finish func(status int)) {
	if r == nil {
		return ctx, func(int) {}
	}
	ctx = sentry.SetHubOnContext(ctx, r.hub.Clone())
	span := sentry.StartTransaction(ctx, name, sentry.WithOpName(operation), sentry.WithTransactionSource(sentry.SourceRoute))
	return span.Context(), func(status int) {
		if status > 0 {
			span.Status = sentry.HTTPtoSpanStatus(status)
			span.SetData("http.response.status_code", status)
		}
		span.Finish()
	}
}

// Report sends an error that is ours. The caller's mistakes are not reported.
func (r *Reporter) Report(ctx context.Context, err error) {
	if r == nil || err == nil {
		return
	}
	hub := sentry.GetHubFromContext(ctx)
	if hub == nil {
		hub = r.hub.Clone()
	}
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	hub.WithScope(func(scope *sentry.Scope) {
		for _, a := range known {
			scope.SetTag(a.Key, a.Value.String())
		}
		hub.CaptureException(err)
	})
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
