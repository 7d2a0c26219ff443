package fleet

import (
	"context"
	"log/slog"
)

// quieted makes debug lines of what River says about itself: a busy worker's counts of each queue,
// every few seconds, are metrics here. Its warnings and errors stay what they are.
type quieted struct{ slog.Handler }

func quieter(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// Enabled implements slog.Handler.
func (h quieted) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, quieter(level))
}

// Handle implements slog.Handler.
func (h quieted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = quieter(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h quieted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieted{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h quieted) WithGroup(name string) slog.Handler {
	return quieted{h.Handler.WithGroup(name)}
}
