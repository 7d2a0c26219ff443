package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
)

// BenchmarkSubmissions is the part of the verb bench that submits work, for profiles: 2,000 of each kind, or of the one
// that MILLRACE_BENCH_SUBMISSIONS names by its table, and pgbench after each. Of tunes it prints the least submission too.
func BenchmarkSubmissions(b *testing.B) {
	env := &environment{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.DiscardHandler), awaits: &awaiting{}}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	err := serve(ctx, env, 30*time.Second, func(life *lifecycle) error {
		defer stop()
		days, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 4000})
		require.NoError(b, err)
		service, err := newBenchService(ctx, life, env, days)
		require.NoError(b, err)
		var found figures
		body := (&benchCmd{Trials: 100}).tune()
		kinds := service.submissionsOf(body, days.Len())
		var least *benchSubmission
		for b.Loop() {
			for _, kind := range kinds {
				if only := os.Getenv("MILLRACE_BENCH_SUBMISSIONS"); only == "" || only == kind.table {
					require.NoError(b, service.submissions(ctx, &found, kind, 2000))
				} else {
					continue
				}
				if kind.table == "tunes" {
					if least == nil {
						id, err := kind.submit(ctx, kind.sent)
						require.NoError(b, err)
						kind.sent++
						least = newLeastSubmission(ctx, b, service, body, id)
					}
					require.NoError(b, service.leastBeside(ctx, &found, least, kind, 2000))
				}
			}
		}
		return found.print(os.Stdout)
	})
	require.NoError(b, err)
}
