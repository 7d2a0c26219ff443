package ops

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger logs to w, as JSON lines or, with text, as key=value lines for a terminal. What With has
// put into a context is part of every line that is logged with it, and so is the span that it is in.
func NewLogger(w io.Writer, level slog.Leveler, text bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if text {
		return slog.New(contextHandler{slog.NewTextHandler(w, opts)})
	}
	return slog.New(contextHandler{slog.NewJSONHandler(w, opts)})
}

type attrsKey struct{}

// With says what the work of a context is about: its request, job and workspace.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(known[:len(known):len(known)], attrs...))
}

// contextHandler adds what the context knows, unless the line says it itself.
type contextHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	at := trace.SpanContextFromContext(ctx)
	if len(known) == 0 && !at.IsValid() {
		return h.Handler.Handle(ctx, r)
	}
	said := map[string]bool{}
	r.Attrs(func(a slog.Attr) bool { said[a.Key] = true; return true })
	r = r.Clone()
	for _, a := range known {
		if !said[a.Key] {
			r.AddAttrs(a)
		}
	}
	if at.IsValid() {
		r.AddAttrs(slog.String("trace_id", at.TraceID().String()), slog.String("span_id", at.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
