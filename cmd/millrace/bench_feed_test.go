package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/migrations"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/pgtest"
)

// emptyBenchQueue is a queue in a database of its own.
func emptyBenchQueue(b *testing.B) *benchQueue {
	b.Helper()
	db := pgtest.New(b)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 10})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	return &benchQueue{pool: pool, owner: db.OwnerPool(b)}
}

// BenchmarkRiverNoop times 20,000 jobs that do nothing, inserted and worked by River with the triggers off, by River
// with the whole feed on (triggers, relay, counters and a listener with a subscriber), and by a worker of ours with
// that feed. The three alternate, and ratios are medians of those of one round.
func BenchmarkRiverNoop(b *testing.B) {
	queue := emptyBenchQueue(b)
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

// BenchmarkQueueLadder takes apart what a job that does nothing costs: bare River, then with one part of ours more in
// each step, all in one round. Beside the rate it prints what a job takes of the processors, of this process and of
// Postgres, and what it writes to the log ahead: rates of a shared machine differ more than these.
func BenchmarkQueueLadder(b *testing.B) {
	queue := emptyBenchQueue(b)
	l := &ladder{queue: queue, b: b}
	l.exec(`create function bench_nothing() returns trigger language plpgsql as $$ begin return null; end $$`)
	l.exec(`create trigger bench_insert after insert on river_job referencing new table as new_rows for each statement execute function bench_nothing()`)
	l.exec(`create trigger bench_update after update on river_job referencing old table as old_rows new table as new_rows for each statement execute function bench_nothing()`)
	events := []string{"event_log_river_insert", "event_log_river_update"}
	holder := []string{"river_job_holder"}
	steps := []step{
		{name: "bare River"},
		{name: "+ triggers that do nothing", triggers: []string{"bench_insert", "bench_update"}},
		{name: "+ the holder's trigger alone", triggers: holder},
		{name: "+ events written", triggers: events},
		{name: "+ both", triggers: append(holder, events...)},
		{name: "+ both, and the feed read", triggers: append(holder, events...), fed: true},
		{name: "a worker of ours, without triggers", by: fullFleet},
		{name: "a worker of ours, with all", triggers: append(holder, events...), fed: true, by: fullFleet},
	}
	const jobs = 10_000 // what a worker takes to begin and end is shared by so many
	for b.Loop() {
		for round := range 3 {
			for i := range steps {
				l.climb(&steps[(i+round)%len(steps)], jobs)
			}
		}
	}
	for _, s := range steps {
		b.Logf("%-36s %7.0f jobs/s, %5.1f us of this process, %5.1f us of Postgres, %5.0f bytes of WAL a job", s.name, median(s.rate), median(s.ours), median(s.postgres), median(s.wal))
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStarts times jobs of an idle fleet from their insert to their work, beside two commits in series, on a server
// that flushes each commit to disk and on one that flushes none: the difference is the disk's.
func BenchmarkStarts(b *testing.B) {
	for _, flushed := range []string{"on", "off"} {
		b.Run("flushed="+flushed, func(b *testing.B) {
			cluster, err := localpg.Start(b.Context(), localpg.Options{DataDir: filepath.Join(b.TempDir(), "pg"), Settings: map[string]string{"fsync": flushed}})
			require.NoError(b, err)
			b.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(b.Context())) })
			require.NoError(b, migrations.Up(b.Context(), cluster.URL()))
			pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: cluster.URL(), MaxConns: 10})
			require.NoError(b, err)
			b.Cleanup(pool.Close)
			owner, err := pgxpool.New(b.Context(), cluster.URL())
			require.NoError(b, err)
			b.Cleanup(owner.Close)
			var found figures
			for b.Loop() {
				require.NoError(b, (&benchQueue{pool: pool, owner: owner}).starts(b.Context(), &found))
			}
			for _, f := range found.all {
				b.ReportMetric(f.median(), strings.NewReplacer(" ", "-", ",", "").Replace(f.name)+"-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

type step struct {
	name                      string
	triggers                  []string
	fed                       bool
	by                        benchFleet
	rate, ours, postgres, wal []float64
}

type ladder struct {
	b     *testing.B
	queue *benchQueue
}

func (l *ladder) exec(sql string) {
	_, err := l.queue.owner.Exec(l.b.Context(), sql)
	require.NoError(l.b, err)
}

func (l *ladder) climb(s *step, jobs int) {
	l.exec(`truncate river_job`)
	l.exec(`alter table river_job disable trigger user`)
	for _, trigger := range s.triggers {
		l.exec(`alter table river_job enable trigger ` + trigger)
	}
	l.exec(`vacuum analyze river_job`)
	l.exec(`checkpoint`) // pages are logged whole once after each
	var server int
	require.NoError(l.b, l.queue.owner.QueryRow(l.b.Context(), `select split_part(pg_read_file('postmaster.pid'), e'\n', 1)::int`).Scan(&server))
	if s.fed { // its beginning is not what a job takes
		stop, err := l.queue.feed(l.b.Context())
		require.NoError(l.b, err)
		defer stop()
	}
	wal, ours, postgres := l.walAt(), runTimeOf(l.b, os.Getpid()), childrenTimeOf(l.b, server)
	took, err := l.queue.timed(l.b.Context(), s.by, false, jobs)
	require.NoError(l.b, err)
	perJob := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(jobs) }
	s.rate = append(s.rate, float64(jobs)/took.Seconds())
	s.ours = append(s.ours, perJob(runTimeOf(l.b, os.Getpid())-ours))
	s.postgres = append(s.postgres, perJob(childrenTimeOf(l.b, server)-postgres))
	s.wal = append(s.wal, float64(l.walAt()-wal)/float64(jobs))
}

func (l *ladder) walAt() (at int64) {
	require.NoError(l.b, l.queue.owner.QueryRow(l.b.Context(), `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`).Scan(&at))
	return at
}

// childrenTimeOf reads what a process's children have run so far, those that have ended to a hundredth of a second.
func childrenTimeOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	ended := 0
	for _, field := range statOf(pid)[13:15] {
		ticks, err := strconv.Atoi(field)
		require.NoError(b, err)
		ended += ticks
	}
	all := time.Duration(ended) * 10 * time.Millisecond
	processes, err := os.ReadDir("/proc")
	require.NoError(b, err)
	for _, p := range processes {
		child, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if fields := statOf(child); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			all += runTimeOf(b, child)
		}
	}
	return all
}

// statOf reads the fields of a process that follow its name; none when it has ended.
func statOf(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.Fields(rest)
}
