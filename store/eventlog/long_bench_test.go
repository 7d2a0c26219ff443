package eventlog_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/storetest"
)

// BenchmarkLongLog reads a log of 200,000 events, or MILLRACE_BENCH_EVENTS of them, of 100 workspaces over seven days: what
// the relay reads at its end, a page from its middle, a workspace's page from its beginning, and the fold of the counters;
// and then drops its oldest day. None takes longer for a longer log, but the drop.
func BenchmarkLongLog(b *testing.B) {
	size := storetest.Size(b, "MILLRACE_BENCH_EVENTS", 200_000)
	db := pgtest.New(b)
	owner := db.OwnerPool(b)
	exec := func(sql string, args ...any) {
		_, err := owner.Exec(b.Context(), sql, args...)
		require.NoError(b, err)
	}
	exec(`insert into workspaces (id, name) select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'w' || n from generate_series(0, 99) n`)
	for days := range 7 { // those to come are there
		exec(fmt.Sprintf(`do $$ declare day date := current_date - %d; begin
			if to_regclass('event_log_' || to_char(day, 'YYYYMMDD')) is null then
				execute format('create table %%I partition of event_log for values from (%%L) to (%%L)', 'event_log_' || to_char(day, 'YYYYMMDD'), day::timestamptz, (day + 1)::timestamptz);
			end if; end $$`, days))
	}
	// Transactions of before this database's first: no reader waits for them.
	exec(`insert into event_log (xid, id, at, workspace_id, topic, type, entity_id, payload)
		select (3 + n * 500 / $1)::text::xid8, n << 20, current_date - 6 + n * (interval '6 days' / $1), ('00000000-0000-7000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid,
		       'jobs', 'job.completed', n::text, '{"kind": "trial.shard", "queue": "trials", "attempt": 1, "from": "running"}'
		  from generate_series(0, $1::bigint - 1) n`, size)
	exec(`select setval('event_log_order_seq', (($1 + 10)::bigint) << 20)`, size)
	exec(`vacuum (analyze) event_log`) // else it begins by itself, beside what is measured
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	log := stores.New(pool, nil).EventLog
	require.NoError(b, log.FoldCounters(b.Context())) // counts again, as a log that was written by hand demands
	exec(`update event_epoch set floor_xid = '0'`)    // nothing was pruned
	bounds, err := log.Bounds(b.Context())
	require.NoError(b, err)
	one := eventlog.Scope{Workspace: uuid.NullUUID{UUID: uuid.MustParse("00000000-0000-7000-8000-000000000007"), Valid: true}}
	at := func(n int) eventlog.Cursor {
		return eventlog.Cursor{Epoch: bounds.Floor.Epoch, XID: uint64(3 + n*500/size), ID: int64(n) << 20}
	}
	for _, c := range []struct {
		name  string
		scope eventlog.Scope
		after eventlog.Cursor
		want  int
	}{
		{"end", eventlog.Scope{}, at(size - 1), 0},
		{"last-1000", eventlog.Scope{}, at(size - 1001), 1000},
		{"middle", eventlog.Scope{}, at(size / 2), 1000},
		{"workspace", one, at(0), 1000},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				events, err := log.Events(b.Context(), c.scope, c.after, 1000)
				require.NoError(b, err)
				require.Len(b, events, c.want)
			}
		})
	}
	b.Run("fold", func(b *testing.B) {
		for b.Loop() {
			exec(`insert into event_log (workspace_id, topic, type, payload) values (null, 'jobs', 'job.completed', '{"queue": "trials"}')`)
			require.NoError(b, log.FoldCounters(b.Context()))
		}
	})
	b.Run("drop-a-day", func(b *testing.B) {
		var first time.Duration
		for b.Loop() {
			begin := time.Now()
			_, err := log.DropExpired(b.Context(), time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -5))
			require.NoError(b, err)
			first = cmp.Or(first, time.Since(begin)) // those that follow find none
		}
		b.ReportMetric(first.Seconds()*1000, "first-ms")
	})
}
