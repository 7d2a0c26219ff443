package upkeep_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/upkeep"
)

// BenchmarkPruneBesideWriters prunes MILLRACE_BENCH_ROWS breadcrumbs (200,000 without it) while
// others write. It reports rows a second, the longest transaction as the run measured it and as
// another session saw it, and the writers' 99th percentile beside the run over that without it.
func BenchmarkPruneBesideWriters(b *testing.B) {
	rows := storetest.Size(b, "MILLRACE_BENCH_ROWS", 200_000)
	for b.Loop() {
		prunedBesideWriters(b, rows)
	}
}

func prunedBesideWriters(b *testing.B, rows int) {
	b.StopTimer()
	db := pgtest.New(b)
	owner := db.OwnerPool(b)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 4})
	require.NoError(b, err)
	defer pool.Close()
	st := stores.New(pool, nil)
	space, err := st.Tenants.CreateWorkspace(b.Context(), "bench", 2)
	require.NoError(b, err)
	for filled := 0; filled < rows; filled += 1_000_000 {
		_, err = owner.Exec(b.Context(), `
			insert into trade_events (id, workspace_id, event_type, payload, created_at)
			select ('0190f000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, $1, 'RUN_STARTED',
			       '{"variant": "0123456789abcdef"}', now() - interval '100 days' + i * interval '10 ms'
			  from generate_series($2::int, $3::int) i`, space.ID, filled+1, min(rows, filled+1_000_000))
		require.NoError(b, err)
	}
	_, err = owner.Exec(b.Context(), `analyze trade_events`)
	require.NoError(b, err)
	_, err = owner.Exec(b.Context(), `checkpoint`)
	require.NoError(b, err)

	const alone = 10 * time.Second
	until, stop := context.WithTimeout(b.Context(), alone)
	before := writers(until, owner, space.ID)()
	stop()
	until, stop = context.WithCancel(b.Context())
	defer stop()
	during := writers(until, owner, space.ID)
	seen := longestSeen(until, owner)
	b.StartTimer()
	began := time.Now()
	pruned, err := st.Upkeep.Prune(b.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 10_000, Source: "sql"})
	took := time.Since(began)
	b.StopTimer()
	stop()
	require.NoError(b, err)
	require.EqualValues(b, rows, pruned.Deleted)
	run, err := st.Upkeep.RetentionRun(context.Background(), pruned.Entry)
	require.NoError(b, err)
	beside := during()
	b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
	b.ReportMetric(run.LongestMS, "longest-tx-ms")
	b.ReportMetric(float64((<-seen).Milliseconds()), "longest-tx-seen-ms")
	b.ReportMetric(float64(percentile(before, 99).Microseconds())/1000, "p99-alone-ms")
	b.ReportMetric(float64(percentile(beside, 99).Microseconds())/1000, "p99-beside-ms")
	b.ReportMetric(float64(percentile(beside, 50))/float64(percentile(before, 50)), "p50-ratio")
	b.ReportMetric(float64(percentile(beside, 99))/float64(percentile(before, 99)), "p99-ratio")
	b.StartTimer()
}

// writers write to the pruned table until ctx ends, a hundred commits a second together, and give
// back what each took. Their pace does not follow the server's, so that nothing waits unseen.
func writers(ctx context.Context, pool *pgxpool.Pool, space uuid.UUID) func() []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			tick := time.NewTicker(40 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case began := <-tick.C:
					_, err := pool.Exec(context.WithoutCancel(ctx), `
						insert into trade_events (id, workspace_id, event_type) values (gen_random_uuid(), $1, 'ORDER_FILLED')`, space)
					if err == nil {
						mu.Lock()
						took = append(took, time.Since(began))
						mu.Unlock()
					}
				}
			}
		})
	}
	return func() []time.Duration { group.Wait(); return took }
}

// longestSeen is the longest that the pruning session's transaction was seen to be open.
func longestSeen(ctx context.Context, pool *pgxpool.Pool) <-chan time.Duration {
	seen := make(chan time.Duration, 1)
	go func() {
		var longest float64
		for ctx.Err() == nil {
			var now float64
			err := pool.QueryRow(ctx, `
				select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity
				 where datname = current_database() and query like 'call retention_run%' and state = 'active'`).Scan(&now)
			if err == nil {
				longest = max(longest, now)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		seen <- time.Duration(longest * float64(time.Second))
	}()
	return seen
}

func percentile(of []time.Duration, p int) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[(len(of)-1)*p/100]
}
