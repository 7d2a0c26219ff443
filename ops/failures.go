package ops

import (
	"context"
	"errors"
	"log/slog"

	"millrace/ops/routine"
)

// Failures is where internal errors end: they are logged at ERROR, counted in internal_errors_total and
// sent to Sentry, each once, by the place that handles them.
type Failures struct {
	Logger   *slog.Logger
	Metrics  *Metrics
	Reporter *Reporter // may be nil
}

// Report handles an internal error. The attributes go to the log; what the context says of its request
// or job goes to both.
func (f Failures) Report(ctx context.Context, message string, err error, attrs ...slog.Attr) {
	var panicked *routine.PanicError
	kind := "error"
	if errors.As(err, &panicked) {
		kind = "panic"
	}
	f.Metrics.InternalErrors.WithLabelValues(kind).Inc()
	f.Logger.LogAttrs(ctx, slog.LevelError, message, append(attrs, slog.Any("error", err))...)
	f.Reporter.Report(ctx, err)
}
