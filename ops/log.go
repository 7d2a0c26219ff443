package ops

import (
	"io"
	"log/slog"
)

// NewLogger logs to w, as JSON lines or, with text, as key=value lines for a terminal.
func NewLogger(w io.Writer, level slog.Level, text bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if text {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
