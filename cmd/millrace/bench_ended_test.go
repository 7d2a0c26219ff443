package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// ended is how many tunes, those of folds among them, and walk-forwards the worker has ended.
func (s *benchStore) ended() float64 {
	of := testutil.ToFloat64(s.metrics.TuneRuns.WithLabelValues("completed")) + testutil.ToFloat64(s.metrics.TuneRuns.WithLabelValues("failed"))
	for _, status := range []string{"completed", "failed", "partial"} {
		of += testutil.ToFloat64(s.metrics.WFORuns.WithLabelValues(status))
	}
	return of
}

// awaitEnded waits until the worker has ended so many more than before. It counts what the worker counts after each commit:
// asking the database for the state would be work that the database does beside what is timed.
func (s *benchStore) awaitEnded(b *testing.B, before float64, more int) {
	b.Helper()
	for s.ended() < before+float64(more) {
		require.NoError(b, b.Context().Err())
		<-time.After(time.Millisecond)
	}
}

// used is what this process and Postgres have taken of the processors, which other work on the machine moves less than it moves
// rates.
type used struct{ process, postgres time.Duration }

func (s *benchStore) used(b *testing.B) used {
	b.Helper()
	return used{processorTime(b), childrenTimeOf(b, s.server)}
}

// report prints what each round took.
func (u used) report(b *testing.B, now used) {
	rounds := float64(b.N)
	b.ReportMetric((now.process-u.process).Seconds()/rounds, "process-s")
	b.ReportMetric((now.postgres-u.postgres).Seconds()/rounds, "postgres-s")
}
