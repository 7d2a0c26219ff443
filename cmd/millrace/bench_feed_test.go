package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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

// BenchmarkRiverNoop times jobs that do nothing, inserted and worked by River with the triggers off, by River with the
// whole feed on (triggers, relay, counters and a listener with a subscriber), and by a worker of ours with that feed. They
// run one soon after the other, in an order that differs from round to round; each is compared with bare River's of the same round, by rate and by the
// time of the processors, which other work on the machine moves less.
func BenchmarkRiverNoop(b *testing.B) {
	l := newLadder(b)
	l.exec(leastFeed)
	steps := []step{
		{name: "bare River"},
		{name: "River with the event feed", triggers: l.ours, fed: true},
		{name: "fleet with the event feed", triggers: l.ours, fed: true, by: fullFleet},
		{name: "River with the least possible feed", triggers: leastTriggers(), least: true},
	}
	l.climbAll(steps, 25, 10_000)
	b.ReportMetric(median(compared(steps[1].rate, steps[0].rate)), "feed/bare")
	b.ReportMetric(median(compared(steps[2].rate, steps[0].rate)), "fleet/bare")
	b.ReportMetric(median(compared(steps[0].processor(), steps[1].processor())), "feed/bare-processor")
	b.ReportMetric(median(compared(steps[0].processor(), steps[2].processor())), "fleet/bare-processor")
	b.ReportMetric(median(compared(steps[3].rate, steps[0].rate)), "least/bare")
	b.ReportMetric(median(compared(steps[0].processor(), steps[3].processor())), "least/bare-processor")
	b.ReportMetric(median(steps[0].rate), "bare-jobs/s")
}

// BenchmarkQueueLadder takes apart what a job that does nothing costs: bare River, then with one part of ours more in
// each step, in an order that differs from round to round. Beside the rate it prints what a job takes of the processors, of this process and of
// Postgres, and what it writes to the log ahead: rates of a shared machine differ more than these.
func BenchmarkQueueLadder(b *testing.B) {
	l := newLadder(b)
	l.exec(`create function bench_nothing() returns trigger language plpgsql as $$ begin return null; end $$`)
	l.exec(`create trigger bench_insert after insert on river_job referencing new table as new_rows for each statement execute function bench_nothing()`)
	l.exec(`create trigger bench_update after update on river_job referencing old table as old_rows new table as new_rows for each statement execute function bench_nothing()`)
	l.exec(leastFeed)
	least := leastTriggers()
	steps := []step{
		{name: "bare River"},
		{name: "+ triggers that do nothing", triggers: []string{"bench_insert", "bench_update"}},
		{name: "+ the holder's trigger alone", triggers: l.ours[:1]},
		{name: "+ events written", triggers: l.ours[1:]},
		{name: "+ both", triggers: l.ours},
		{name: "+ both, and the feed read", triggers: l.ours, fed: true},
		{name: "least possible feed, written and read", triggers: least, least: true},
		{name: "a worker of ours, without triggers", by: fullFleet},
		{name: "a worker of ours, least possible feed", triggers: least, least: true, by: fullFleet},
		{name: "a worker of ours, with all", triggers: l.ours, fed: true, by: fullFleet},
	}
	l.climbAll(steps, 7, 10_000)
	written, read := &steps[4], &steps[5]
	b.ReportMetric(median(added(read.ours, written.ours)), "us-of-this-process-to-read")
	b.ReportMetric(median(added(read.postgres, written.postgres)), "us-of-postgres-to-read")
}

// added is what one step took more than another, in each round.
func added(of, to []float64) (more []float64) {
	for i := range of {
		more = append(more, of[i]-to[i])
	}
	return more
}

// BenchmarkStarts times jobs of an idle fleet from their insert to their work, beside two commits in series, on a server
// that flushes each commit to disk and on one that flushes none: the difference is the disk's. It prints the median of each
// step from the call of the insert on: of the least handover, which is Postgres' alone, of River without anything of ours, of
// a worker of ours without triggers, whose statements are those of ours, of one that keeps the least possible feed, and of the
// fleet. A step that the one before it does not have, or that takes longer, is River's in the first difference, that of any feed
// in the next to last, and ours to save in the last.
func BenchmarkStarts(b *testing.B) {
	for _, flushed := range []string{"on", "off"} {
		b.Run("flushed="+flushed, func(b *testing.B) {
			cluster, err := localpg.Start(b.Context(), localpg.Options{DataDir: filepath.Join(b.TempDir(), "pg"), Settings: map[string]string{"fsync": flushed}})
			require.NoError(b, err)
			b.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(b.Context())) })
			require.NoError(b, migrations.Up(b.Context(), cluster.URL()))
			trace := newStartTrace()
			pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: cluster.URL(), MaxConns: 10, Spans: trace})
			require.NoError(b, err)
			b.Cleanup(pool.Close)
			owner, err := pgxpool.New(b.Context(), cluster.URL())
			require.NoError(b, err)
			b.Cleanup(owner.Close)
			_, err = owner.Exec(b.Context(), leastFeed)
			require.NoError(b, err)
			var found figures
			for b.Loop() {
				require.NoError(b, (&benchQueue{pool: pool, owner: owner, trace: trace, least: leastTriggers()}).starts(b.Context(), &found))
			}
			var slow []string // ten lines are printed
			for _, of := range []string{leastHandover, benchFleets[bareRiver], untriggered, leastFed, benchFleets[fullFleet]} {
				medians, slowest := trace.taken(of)
				b.Logf("%s, medians: %s", of, medians)
				if of == benchFleets[bareRiver] || of == benchFleets[fullFleet] {
					for _, s := range slowest {
						slow = append(slow, fmt.Sprintf("%s, of the slowest hundredth: %s", of, s))
					}
				}
			}
			b.Log(strings.Join(slow, "\n"))
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
	least                     bool // with the least feed instead
	by                        benchFleet
	rate, ours, postgres, wal []float64
}

// processor is what a job took of all processors, in each round.
func (s *step) processor() []float64 {
	all := slices.Clone(s.ours)
	for i, of := range s.postgres {
		all[i] += of
	}
	return all
}

// compared are the ratios of what two steps measured in the same rounds.
func compared(of, to []float64) (ratios []float64) {
	for i := range of {
		ratios = append(ratios, of[i]/to[i])
	}
	return ratios
}

type ladder struct {
	b     *testing.B
	queue *benchQueue
	ours  []string // triggers: the holder's, then those that write events
}

func newLadder(b *testing.B) *ladder {
	b.Helper()
	l := &ladder{b: b, queue: emptyBenchQueue(b), ours: []string{"river_job_holder", "event_log_river_insert", "event_log_river_update"}}
	// A step would take what autovacuum does for the one before; each begins with tables that are vacuumed.
	b.Cleanup(func() { l.setAutovacuum("on") })
	l.setAutovacuum("off")
	return l
}

func (l *ladder) setAutovacuum(to string) {
	for _, sql := range []string{`alter system set autovacuum = ` + to, `select pg_reload_conf()`} {
		_, err := l.queue.owner.Exec(context.WithoutCancel(l.b.Context()), sql)
		require.NoError(l.b, err)
	}
}

// climbAll works so many jobs in each step, enough that what a worker takes to begin and end is a small part of
// their time. It prints medians; of the ratios to the first step's, in the same round, also the quartiles.
func (l *ladder) climbAll(steps []step, rounds, jobs int) {
	for l.b.Loop() {
		for round := range rounds {
			for _, at := range shuffled(len(steps), round) {
				l.climb(&steps[at], jobs)
			}
		}
	}
	for i := range steps {
		s := &steps[i]
		rate, processor := compared(s.rate, steps[0].rate), compared(steps[0].processor(), s.processor())
		l.b.Logf("%-36s %6.0f jobs/s, %5.1f us of this process, %5.1f us of Postgres, %5.0f bytes of WAL a job; to the first: %.2f (%.2f to %.2f) by rate, %.2f (%.2f to %.2f) by processor",
			s.name, median(s.rate), median(s.ours), median(s.postgres), median(s.wal),
			median(rate), quartile(rate, 1), quartile(rate, 3), median(processor), quartile(processor, 1), quartile(processor, 3))
	}
	l.b.ReportMetric(0, "ns/op")
}

// quartile is the first or the third.
func quartile(of []float64, which int) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(len(sorted)*which/4, len(sorted)-1)]
}

func (l *ladder) exec(sql string) {
	_, err := l.queue.owner.Exec(l.b.Context(), sql)
	require.NoError(l.b, err)
}

// serverProcess asks the server for the number of its process.
const serverProcess = `select split_part(pg_read_file('postmaster.pid'), e'\n', 1)::int`

func (l *ladder) climb(s *step, jobs int) {
	l.exec(`truncate river_job`)
	l.exec(`alter table river_job disable trigger user`)
	for _, trigger := range s.triggers {
		l.exec(`alter table river_job enable trigger ` + trigger)
	}
	for _, table := range []string{"river_job", "event_log", "counters", "event_counts", "counter_deltas"} {
		l.exec(`vacuum analyze ` + table)
	}
	l.exec(`checkpoint`) // pages are logged whole once after each
	runtime.GC()         // what the step before left
	var server int
	require.NoError(l.b, l.queue.owner.QueryRow(l.b.Context(), serverProcess).Scan(&server))
	defer l.begin(s)() // its beginning is not what a job takes
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
	for { // again where one ended meanwhile: it may be in neither
		before := endedTimeOf(b, pid)
		running := runningTimeOf(b, pid)
		if endedTimeOf(b, pid) == before {
			return before + running
		}
	}
}

// endedTimeOf is what the children ran that have ended.
func endedTimeOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	ended := 0
	for _, field := range statOf(pid)[13:15] {
		ticks, err := strconv.Atoi(field)
		require.NoError(b, err)
		ended += ticks
	}
	return time.Duration(ended) * 10 * time.Millisecond
}

// runningTimeOf is what the children have run that have not ended.
func runningTimeOf(b *testing.B, pid int) (all time.Duration) {
	b.Helper()
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
