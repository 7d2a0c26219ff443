package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
)

// BenchmarkRiverNoop times 20,000 jobs that do nothing, inserted and worked by River with the triggers off, by River
// with the whole feed on (triggers, relay, counters and a listener with a subscriber), and by a worker of ours with
// that feed. The three alternate, and ratios are medians of those of one round.
func BenchmarkRiverNoop(b *testing.B) {
	db := pgtest.New(b)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 10})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	queue := &benchQueue{pool: pool, owner: db.OwnerPool(b)}
	var found figures
	for b.Loop() {
		for round := range 5 {
			require.NoError(b, queue.measure(b.Context(), &found, 20_000, round))
		}
	}
	for _, f := range found.all {
		b.Logf("%s: %.2f of %.2f", f.name, f.median(), f.values)
	}
	b.ReportMetric(found.named("River with the event feed / bare", "").median(), "feed/bare")
	b.ReportMetric(found.named("fleet with the event feed / bare River", "").median(), "fleet/bare")
	b.ReportMetric(found.named(benchFleets[bareRiver], "").median(), "bare-jobs/s")
	b.ReportMetric(0, "ns/op")
}
