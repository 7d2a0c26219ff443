package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/ops"
	"millrace/ops/otlptest"
	"millrace/ops/telemetry"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/tuning"
)

// BenchmarkTracedTune times tunes of 20,000 trials without and with traces and metrics exported to a collector on
// this machine, one after the other, on one slot. "cpu-%" is the processor time that this process takes beyond that of the tunes
// without, its own collector included: other load on the machine touches it little. "fastest-%" is the same of the time
// that the fastest took.
func BenchmarkTracedTune(b *testing.B) {
	bars, spec := benchBars(b), benchSpec()
	s := newBenchStore(b, bars)
	collector := otlptest.New(b)
	var took [2][]time.Duration // without, with
	var cpu [2]time.Duration
	run := func(traced bool, key string) time.Duration {
		var exports *telemetry.Telemetry
		metrics := ops.NewMetrics()
		if traced {
			var err error
			exports, err = telemetry.Start(b.Context(), telemetry.Options{
				TracesURL: collector.URL + "/v1/traces", MetricsURL: collector.URL + "/v1/metrics", Timeout: 10 * time.Second,
				Interval: time.Second, Metrics: metrics, Logger: slog.New(slog.DiscardHandler),
			})
			require.NoError(b, err)
			defer exports.Stop(context.Background())
		}
		reporter, err := ops.NewReporter(ops.ReportOptions{Tracer: exports.Tracer()})
		require.NoError(b, err)
		pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: s.url, MaxConns: 4, Spans: spanTracer(exports)})
		require.NoError(b, err)
		defer pool.Close()
		client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler), ops.Origins{})
		require.NoError(b, err)
		defer s.workTraced(b, 1, exports, nil)()
		of := *s
		of.store = stores.New(pool, client)
		start := time.Now()
		ctx, finish := reporter.Begin(b.Context(), "http.server", "POST /backtests/tune")
		id := of.submitIn(ctx, b, spec, key)
		finish(ops.OutcomeHTTP(202))
		for {
			got, err := of.store.Tuning.Get(b.Context(), s.space.ID, id)
			require.NoError(b, err)
			if got.Status.Ended() {
				require.Equal(b, tuning.Completed, got.Status, got.Error)
				return time.Since(start)
			}
			<-time.After(2 * time.Millisecond)
		}
	}
	for i := 0; b.Loop(); i++ {
		order := []int{0, 1}
		if i%2 == 1 {
			order = []int{1, 0}
		}
		for _, on := range order {
			before := processorTime(b)
			took[on] = append(took[on], run(on == 1, fmt.Sprint(i, on)))
			cpu[on] += processorTime(b) - before
		}
	}
	spans := len(collector.Spans())
	require.Greater(b, spans, 50*len(took[1]), "the tunes were not traced")
	b.ReportMetric(100*(cpu[1].Seconds()/cpu[0].Seconds()-1), "cpu-%")
	b.ReportMetric(100*(slices.Min(took[1]).Seconds()/slices.Min(took[0]).Seconds()-1), "fastest-%")
	b.ReportMetric(slices.Min(took[0]).Seconds(), "s-without")
	b.ReportMetric(cpu[0].Seconds()/float64(len(took[0])), "cpu-s-without")
	b.ReportMetric(float64(spans)/float64(len(took[1])), "spans/tune")
}

// processorTime is what this process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
