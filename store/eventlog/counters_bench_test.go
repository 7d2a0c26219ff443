package eventlog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/storetest"
)

// BenchmarkCounters reads the fleet's counters beside 200,000 jobs, or MILLRACE_BENCH_JOBS of them,
// with a day's windows of 40 event types, and counts the jobs by scanning them for comparison.
func BenchmarkCounters(b *testing.B) {
	jobs := storetest.Size(b, "MILLRACE_BENCH_JOBS", 200_000)
	db := pgtest.New(b)
	owner := db.OwnerPool(b)
	exec := func(sql string, args ...any) {
		_, err := owner.Exec(b.Context(), sql, args...)
		require.NoError(b, err)
	}
	exec(`alter table river_job disable trigger user`)
	exec(`insert into river_job (kind, args, queue, max_attempts, state, finalized_at)
		select 'test', '{}', 'q' || n % 6, 3, s::river_job_state, case when s in ('completed', 'cancelled') then now() end
		  from generate_series(1, $1) n, lateral (select (array['available', 'completed', 'retryable', 'cancelled'])[n % 4 + 1] s) x`, jobs)
	exec(`analyze river_job`)
	exec(`delete from counters_place`)
	exec(`insert into event_counts (workspace_id, span, began_at, type, n)
		select '00000000-0000-0000-0000-000000000000', span, date_bin(span, now() - k * span, 'epoch'), 'type.' || t, 5
		  from (values (interval '1 minute', 60), (interval '15 minutes', 96)) w (span, spans), generate_series(0, spans - 1) k, generate_series(1, 40) t`)
	exec(`analyze event_counts`)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	st := stores.New(pool, nil)
	require.NoError(b, st.EventLog.FoldCounters(b.Context()))

	b.Run("read", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			c, err := st.EventLog.Counters(b.Context(), uuid.NullUUID{})
			took = append(took, time.Since(start))
			require.NoError(b, err)
			var all int64
			for _, count := range c.Jobs {
				all += count.Jobs
			}
			require.EqualValues(b, jobs, all)
			require.Len(b, c.Hour, 40)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			var n int
			require.NoError(b, owner.QueryRow(b.Context(), `select count(*) from (select queue, state, count(*) from river_job group by 1, 2) s`).Scan(&n))
		}
	})
}
