package upkeep_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/upkeep"
)

// moveClock gives the database a clock of its own, sim.clock: for every session that begins afterwards, for functions
// and for the defaults of columns, now() and clock_timestamp() are what it says.
const moveClock = `
	create schema sim;
	grant usage on schema sim to public;
	create table sim.clock (at timestamptz not null, set_at timestamptz not null);
	insert into sim.clock values (now(), now());
	grant select on sim.clock to public;
	create function sim.clock_timestamp() returns timestamptz language sql volatile parallel safe
		as 'select at + (pg_catalog.clock_timestamp() - set_at) from sim.clock';
	create function sim.now() returns timestamptz language sql stable parallel safe
		as 'select at + (pg_catalog.now() - set_at) from sim.clock';
	do $$
	declare
		f record;
	begin
		execute format('alter database %I set search_path = public, sim, pg_catalog', current_database());
		for f in select p.oid::regprocedure as name, p.prokind, s.setting from pg_proc p, unnest(p.proconfig) s (setting)
		          where p.pronamespace = 'public'::regnamespace and s.setting like 'search_path=%' loop
			execute format('alter routine %s set search_path = %s sim, pg_catalog, pg_temp', f.name,
				case when f.setting like '%public%' then 'public,' else '' end);
		end loop;
		for f in select c.oid::regclass as name, a.attname, pg_get_expr(d.adbin, d.adrelid) as value
		           from pg_attrdef d join pg_class c on c.oid = d.adrelid join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
		          where c.relnamespace = 'public'::regnamespace and pg_get_expr(d.adbin, d.adrelid) ~ '^(now|clock_timestamp)\(\)' loop
			execute format('alter table %s alter column %I set default sim.%s', f.name, f.attname, f.value);
		end loop;
	end $$`

// simulated is a database whose clock is moved.
type simulated struct {
	*storetest.Fixture
	fed map[string]int // rows that a feed has made
}

func newSimulated(t *testing.T) *simulated {
	t.Helper()
	db := pgtest.New(t)
	owner := db.OwnerPool(t)
	_, err := owner.Exec(t.Context(), moveClock)
	require.NoError(t, err)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	d := &storetest.Fixture{T: t, Store: stores.New(pool, nil), Owner: owner}
	d.Space, err = d.Store.Tenants.CreateWorkspace(t.Context(), "main", 2)
	require.NoError(t, err)
	d.Bars, err = ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 500})
	require.NoError(t, err)
	d.Dataset, err = d.Store.Market.PutDataset(t.Context(), d.Space.ID, market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: 252}, d.Bars)
	require.NoError(t, err)
	return &simulated{d, map[string]int{}}
}

// live makes what comes between two times and runs all that takes rows away, but for one retention job.
func (s *simulated) live(from, to time.Time, day int, without string) {
	s.T.Helper()
	ctx, st := s.T.Context(), s.Store
	s.Exec(`update sim.clock set at = $1, set_at = pg_catalog.clock_timestamp()`, to)
	_, err := st.EventLog.Roll(ctx, 1)
	require.NoError(s.T, err)
	for _, f := range feeds {
		n := int(f.perDay*float64(day)) - s.fed[f.name]
		s.fed[f.name] += n
		begin := from
		if f.name == "events" {
			begin = to.Add(-12 * time.Hour) // partitions of the days before were never made
		}
		s.Exec(f.sql, pgx.NamedArgs{
			"n": n, "from": begin, "step": (to.Sub(begin) - time.Second) / time.Duration(max(n, 1)), "space": s.Space.ID, "dataset": s.Dataset.ID, "wide": wide(),
		})
	}
	appendAudit(s.Fixture, s.Space.ID, int(auditPerDay*to.Sub(from).Hours()/24), from.Add(to.Sub(from)/2))

	for _, job := range jobs.Retentions() {
		if job.Name != without && without != "all" {
			_, err := st.Upkeep.Prune(ctx, upkeep.Prune{Job: job.Name, BatchSize: 10_000, Source: "sql"})
			require.NoError(s.T, err, job.Name)
		}
	}
	require.NoError(s.T, st.EventLog.FoldCounters(ctx))
	require.NoError(s.T, st.EventLog.TidyCounters(ctx))
	require.NoError(s.T, st.Tenants.ForgetRates(ctx))
	require.NoError(s.T, st.Workers.Forget(ctx))
	_, err = st.Library.ForgetUploads(ctx)
	require.NoError(s.T, err)
	_, err = st.Tenants.BeginSession(ctx, tenants.Session{Digest: digest()}, time.Hour)
	require.NoError(s.T, err)
	require.NoError(s.T, st.Tenants.BeginSignIn(ctx, digest(), "/admin", time.Minute))
	_, err = st.Tenants.CreateEventTicket(ctx, digest(), tenants.TicketMaker{}, s.Space.ID, time.Hour)
	require.NoError(s.T, err)
	require.NoError(s.T, st.Recommend.RecordLLMCall(ctx, "openai", "m", ""))
}

func digest() (d [32]byte) {
	a, b := uuid.New(), uuid.New()
	copy(d[:], append(a[:], b[:]...))
	return d
}

// wide is a JSON document of about 900 bytes that does not compress much.
func wide() string {
	var text strings.Builder
	for range 25 {
		text.WriteString(uuid.NewString())
	}
	return `{"text": "` + text.String() + `"}`
}

// rows counts the rows of tables.
func (s *simulated) rows(tables []string) map[string]int {
	s.T.Helper()
	parts := make([]string, len(tables))
	for i, table := range tables {
		parts[i] = fmt.Sprintf("select '%s', count(*) from %s", table, table)
	}
	rows, err := s.Owner.Query(s.T.Context(), strings.Join(parts, " union all "))
	require.NoError(s.T, err)
	counts := map[string]int{}
	var table string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error { counts[table] = n; return nil })
	require.NoError(s.T, err)
	return counts
}

// Five years of a team's work, at a hundredth of its rate: the database's clock goes from five years ago to now, and
// at each step what came is written, the retention jobs and the hourly upkeep run as they do in a worker, and no table
// has more rows than its window allows. Each table gets more rows than that, so without its retention it would.
// MILLRACE_GROWTH_STEP is the days of a step (180); MILLRACE_GROWTH_WITHOUT a retention job that does not run, or all.
func TestNoTableGrowsBeyondItsBoundInFiveYears(t *testing.T) {
	t.Parallel()
	const days = 5 * 365
	step, err := strconv.Atoi(os.Getenv("MILLRACE_GROWTH_STEP"))
	if err != nil {
		step = 180
	}
	s := newSimulated(t)
	tables := slices.Sorted(maps.Keys(bounds))
	tables = append(tables, "retention_job_log")
	most := map[string]int{}
	start := time.Now().Add(-days * 24 * time.Hour)
	at := 0
	for at < days {
		next := min(at+step, days)
		s.live(start.Add(time.Duration(at)*24*time.Hour), start.Add(time.Duration(next)*24*time.Hour), next, os.Getenv("MILLRACE_GROWTH_WITHOUT"))
		at = next
		for table, n := range s.rows(tables) {
			most[table] = max(most[table], n)
		}
	}
	full := os.Getenv("MILLRACE_GROWTH_STEP") != ""
	bytes := map[string]int{}
	if full {
		bytes = s.bytesARow(tables)
	}
	var report strings.Builder
	fmt.Fprintf(&report, "%-20s %9s %9s %9s %12s\n", "table", "came", "most", "bound", "bytes a row")
	for _, table := range tables {
		limit, came := float64(bounds[table].always), float64(bounds[table].always)
		for _, w := range bounds[table].windows {
			limit += w.perDay * float64(w.days+step)
			came += w.perDay * days
		}
		if table == "retention_job_log" {
			limit = float64(len(jobs.Retentions()) * (365/step + 2))
			came = float64(len(jobs.Retentions()) * (days / step))
		}
		fmt.Fprintf(&report, "%-20s %9.0f %9d %9.0f %12d\n", table, came, most[table], limit, bytes[table])
		if most[table] > int(limit) {
			t.Errorf("%s grew to %d rows, beyond its bound of %.0f", table, most[table], limit)
		}
		if came <= limit && table != "counter_deltas" && table != "audit_unsealed" { // which are folded and sealed within seconds
			t.Errorf("%s gets %.0f rows, no more than its bound of %.0f: nothing is shown", table, came, limit)
		}
		if most[table] == 0 && bounds[table].windows != nil && bounds[table].windows[0].days > 2 {
			t.Errorf("%s had no row at all: nothing is shown", table)
		}
	}
	t.Log("\n" + report.String())
}

// bytesARow measures tables with their indexes, rewritten without room that deleted rows left.
func (s *simulated) bytesARow(tables []string) map[string]int {
	s.T.Helper()
	sizes := map[string]int{}
	counts := s.rows(tables)
	for _, table := range tables {
		s.Exec(`vacuum full ` + table)
		sizes[table] = s.Count(`
			select pg_total_relation_size($1::regclass) + coalesce((select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = $1::regclass), 0)`,
			table) / max(counts[table], 1)
	}
	return sizes
}

// The table of sizing.md has every table of the schema, and the retention jobs that it names take rows of theirs, alone or by
// what they belong to.
func TestTheGrowthTableHasEveryTable(t *testing.T) {
	t.Parallel()
	_, here, _, ok := runtime.Caller(0)
	require.True(t, ok)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../ops/docs/sizing.md"))
	if err != nil { // a build with -trimpath has no folder
		text, err = os.ReadFile("../../ops/docs/sizing.md")
	}
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "## What grows, and what bounds it")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	line := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|([^|]+)\\|([^|]+)\\|([^|]+)\\|([^|]+)\\|$")
	var documented []string
	named := map[string]bool{}
	for _, row := range line.FindAllStringSubmatch(section, -1) {
		documented = append(documented, row[1])
		for _, cell := range row[2:] {
			require.NotEmpty(t, strings.TrimSpace(cell), "a cell of %s is empty", row[1])
		}
		job := regexp.MustCompile("`([a-z_]+)`").FindStringSubmatch(row[5])
		if _, grows := bounds[row[1]]; grows && job != nil {
			named[job[1]] = true
			_, known := jobs.RetentionOf(job[1])
			require.True(t, known, "%s names the retention job %s, which there is not", row[1], job[1])
		}
	}
	for _, job := range jobs.Retentions() {
		require.Contains(t, section, "`"+job.Name+"`", "the retention job %s is not in the table", job.Name)
	}
	rows, err := pgtest.New(t).OwnerPool(t).Query(t.Context(), `
		select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, tables, documented)
}
