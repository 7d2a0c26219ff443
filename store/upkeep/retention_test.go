package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/upkeep"
)

// prunable is what each retention job finds: rows that are due and rows that are not. In the
// statements $1 is the workspace.
var prunable = map[string]struct {
	table string
	due   int
	fill  []string
}{
	"trade_events": {"trade_events", 1234, []string{
		`insert into trade_events (id, workspace_id, event_type, created_at)
		 select gen_random_uuid(), $1, 'RUN_STARTED', now() - interval '91 days' - i * interval '1 s' from generate_series(1, 1234) i`,
		`insert into trade_events (id, workspace_id, event_type, pinned, created_at)
		 values (gen_random_uuid(), $1, 'RUN_STARTED', true, now() - interval '1 year'),
		        (gen_random_uuid(), $1, 'RUN_STARTED', false, now() - interval '89 days'),
		        (gen_random_uuid(), $1, 'ORDER_FILLED', false, now() - interval '10 years'),
		        (gen_random_uuid(), $1, 'RUNAWAY', false, now() - interval '10 years')`,
	}},
	"job_runs": {"river_job", 900, []string{
		`insert into river_job (kind, args, queue, max_attempts, state, finalized_at)
		 select 'k', jsonb_build_object('workspace_id', $1::uuid), 'q', 1, (array['completed', 'cancelled', 'discarded'])[1 + i % 3]::river_job_state, now() - interval '31 days'
		   from generate_series(1, 900) i`,
		`insert into river_job (kind, args, queue, max_attempts, state, finalized_at, scheduled_at)
		 values ('k', jsonb_build_object('workspace_id', $1::uuid), 'q', 1, 'discarded', now() - interval '29 days', now()),
		        ('k', '{}', 'q', 1, 'available', null, now() - interval '40 days')`,
	}},
	"match_runs": {"match_runs", 300, []string{
		`insert into match_runs (id, workspace_id, kind, intent, intent_signature, request, status, candidates, best_score, weak,
		                         coverage_status, resolution, resolved_at, created_at)
		 select gen_random_uuid(), $1, 'recommend', 'i', sha256(i::text::bytea), '{}', 'ok', 1, 1, false,
		        'resolved', 'covered', now() - interval '190 days', now() - interval '200 days'
		   from generate_series(1, 300) i`,
		`insert into match_runs (id, workspace_id, kind, intent, intent_signature, request, status, candidates, best_score, weak,
		                         coverage_status, resolution, resolved_at, created_at)
		 values (gen_random_uuid(), $1, 'recommend', 'resolved lately', sha256('a'), '{}', 'none', 0, 0, true, 'resolved', 'note', now(), now() - interval '1 year'),
		        (gen_random_uuid(), $1, 'recommend', 'open', sha256('b'), '{}', 'none', 0, 0, true, 'open', null, null, now() - interval '1 year')`,
	}},
	"idempotency_keys": {"idempotency_keys", 2500, []string{
		`insert into idempotency_keys (workspace_id, route, key, fingerprint, expires_at)
		 select $1, 'r', i::text, sha256('x'), now() - interval '1 minute' from generate_series(1, 2500) i`,
		`insert into idempotency_keys (workspace_id, route, key, fingerprint) values ($1, 'r', 'alive', sha256('x'))`,
	}},
}

func fill(d *storetest.Fixture, job string) {
	d.T.Helper()
	for _, statement := range prunable[job].fill {
		_, err := d.Owner.Exec(d.T.Context(), statement, d.Space.ID)
		require.NoError(d.T, err)
	}
}

func prune(d *storetest.Fixture, job string, dry bool) upkeep.Pruned {
	d.T.Helper()
	pruned, err := d.Store.Upkeep.Prune(d.T.Context(), upkeep.Prune{Job: job, BatchSize: 500, DryRun: dry, Source: "sql"})
	require.NoError(d.T, err)
	return pruned
}

func TestADryRunCountsWhatARunDeletes(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	for job, rows := range prunable {
		t.Run(job, func(t *testing.T) {
			fill(d, job)
			before := d.Count(`select count(*) from ` + rows.table)
			counted := prune(d, job, true)
			require.EqualValues(t, rows.due, counted.Deleted)
			require.Equal(t, before, d.Count(`select count(*) from `+rows.table), "a dry run deletes nothing")
			pruned := prune(d, job, false)
			require.EqualValues(t, rows.due, pruned.Deleted)
			require.Equal(t, before-rows.due, d.Count(`select count(*) from `+rows.table))
			require.Zero(t, prune(d, job, false).Deleted, "nothing is left to delete")

			run, err := d.Store.Upkeep.RetentionRun(t.Context(), pruned.Entry)
			require.NoError(t, err)
			require.True(t, *run.OK)
			require.EqualValues(t, rows.due, run.Deleted)
			require.GreaterOrEqual(t, run.Batches, (rows.due+499)/500)
			require.Less(t, run.LongestMS, 1000.0)
			require.Equal(t, 2, d.Count(`select count(*) from event_log where topic = 'retention' and entity_id = $1`, fmt.Sprint(pruned.Entry)))
		})
	}
}

// The batches before a failure stay deleted, and the log has both.
func TestAFailedRunKeepsItsLogAndItsBatches(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	fill(d, "trade_events")
	_, err := d.Owner.Exec(t.Context(), `
		create function refuse() returns trigger language plpgsql as $$ begin
			if old.created_at > now() - interval '91 days' - interval '30 s' then raise 'this row may not go'; end if;
			return old;
		end $$;
		create trigger refuse before delete on trade_events for each row execute function refuse()`)
	require.NoError(t, err)
	_, err = d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 500, Source: "river"})
	require.ErrorContains(t, err, "this row may not go")
	runs, err := d.Store.Upkeep.RetentionLog(t.Context(), "trade_events", 0, 10)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.False(t, *runs[0].OK)
	require.Contains(t, *runs[0].Error, "this row may not go")
	require.EqualValues(t, 1000, runs[0].Deleted)
	require.Equal(t, 238, d.Count(`select count(*) from trade_events`))
	status, err := d.Store.Upkeep.RetentionStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, "trade_events", status.Jobs[0].Name)
	require.Equal(t, 1, status.Jobs[0].Failures)
	require.Nil(t, status.Jobs[0].LastOK)
	require.Positive(t, status.Jobs[0].TableSize)

	// The failed run does not stand in the way of the day's next attempt.
	_, err = d.Owner.Exec(t.Context(), `drop trigger refuse on trade_events`)
	require.NoError(t, err)
	pruned, err := d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 500, Source: "river"})
	require.NoError(t, err)
	require.EqualValues(t, 234, pruned.Deleted)
	again, err := d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 500, Source: "river"})
	require.NoError(t, err)
	require.Zero(t, again.Entry, "a scheduled run is made once a day")
}

// What somebody holds is neither waited for nor deleted, even if it was due when the run looked.
func TestAHeldRowIsLeftAlone(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	fill(d, "trade_events")
	tx, err := d.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `
		update trade_events set pinned = true where id in (
			select id from trade_events where event_type = 'RUN_STARTED' and not pinned order by created_at limit 3)`)
	require.NoError(t, err)
	require.EqualValues(t, prunable["trade_events"].due-3, prune(d, "trade_events", false).Deleted)
	require.NoError(t, tx.Commit(t.Context()))
	require.Zero(t, prune(d, "trade_events", false).Deleted)
	require.Equal(t, 4, d.Count(`select count(*) from trade_events where pinned`))
}

func TestOneRunOfAJobAtATime(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	holder, err := d.Owner.Acquire(t.Context())
	require.NoError(t, err)
	defer holder.Release()
	_, err = holder.Exec(t.Context(), `select pg_advisory_lock(retention_lock('job_runs'))`)
	require.NoError(t, err)
	_, err = d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "job_runs", BatchSize: 500, Source: "sql"})
	require.ErrorIs(t, err, store.ErrRunning)
	require.Zero(t, prune(d, "idempotency_keys", false).Deleted, "another job is not in the way")
	_, err = holder.Exec(t.Context(), `select pg_advisory_unlock_all()`)
	require.NoError(t, err)
	prune(d, "job_runs", false)
}

// A run that is asked to stop is taken up again under its entry; one that nobody takes up counts as
// failed.
func TestAStoppedRunIsTakenUpOrCountedAsFailed(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	fill(d, "trade_events")
	var entry int64
	require.NoError(t, d.Owner.QueryRow(t.Context(), `
		insert into retention_job_log (job_name, source, dry_run, age, batch_size) values ('trade_events', 'admin', false, '90 days', 100)
		returning id`).Scan(&entry))
	// The statement never ends by itself: somebody holds the whole table.
	tx, err := d.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `lock table trade_events`)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		_, err := d.Store.Upkeep.Prune(ctx, upkeep.Prune{Job: "trade_events", BatchSize: 100, Source: "admin", Entry: &entry})
		stopped <- err
	}()
	require.Eventually(t, func() bool {
		return d.Count(`select count(*) from pg_locks where not granted and relation = 'trade_events'::regclass`) > 0
	}, 5*time.Second, 5*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-stopped, context.Canceled)
	require.NoError(t, tx.Rollback(t.Context()))
	run, err := d.Store.Upkeep.RetentionRun(t.Context(), entry)
	require.NoError(t, err)
	require.Nil(t, run.OK, "it is open for the next attempt")
	status, err := d.Store.Upkeep.RetentionStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, status.Jobs[0].Failures)
	require.Equal(t, "interrupted", *status.Jobs[0].Error)

	pruned, err := d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 100, Source: "admin", Entry: &entry})
	require.NoError(t, err)
	require.Equal(t, upkeep.Pruned{Deleted: 1234, Entry: entry}, pruned)
	again, err := d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 100, Source: "admin", Entry: &entry})
	require.NoError(t, err)
	require.Zero(t, again.Entry, "an entry that has ended is not run again")

	_, err = d.Owner.Exec(t.Context(), `
		insert into retention_job_log (job_name, source, started_at, dry_run, age, batch_size)
		values ('match_runs', 'river', now(), false, '180 days', 100)`)
	require.NoError(t, err)
	_, _, err = d.Store.Upkeep.ScheduleRetention(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, d.Count(`select count(*) from retention_job_log where error like 'interrupted%'`))
}

func TestMissedRunsAreNamed(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	scheduler, overdue, err := d.Store.Upkeep.ScheduleRetention(t.Context())
	require.NoError(t, err)
	require.Equal(t, "river", scheduler)
	require.Empty(t, overdue, "a new installation has missed nothing")
	_, err = d.Owner.Exec(t.Context(), `update retention_rules set created_at = now() - interval '26 hours'`)
	require.NoError(t, err)
	_, err = d.Store.Upkeep.Prune(t.Context(), upkeep.Prune{Job: "job_runs", BatchSize: 500, Source: "river"})
	require.NoError(t, err)
	_, overdue, err = d.Store.Upkeep.ScheduleRetention(t.Context())
	require.NoError(t, err)
	var want []string
	for _, job := range jobs.Retentions() {
		if job.Name != "job_runs" {
			want = append(want, job.Name)
		}
	}
	require.Equal(t, want, overdue)
}

func TestARunRefusesWhatIsOutOfRange(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	past := -time.Hour
	for name, prune := range map[string]upkeep.Prune{
		"unknown job":  {Job: "orders", BatchSize: 500, Source: "sql"},
		"small batch":  {Job: "job_runs", BatchSize: 99, Source: "sql"},
		"large batch":  {Job: "job_runs", BatchSize: 100_001, Source: "sql"},
		"future rows":  {Job: "job_runs", BatchSize: 500, Source: "sql", Age: &past},
		"other source": {Job: "job_runs", BatchSize: 500, Source: "somebody"},
	} {
		_, err := d.Store.Upkeep.Prune(t.Context(), prune)
		require.Error(t, err, name)
		require.False(t, errors.Is(err, store.ErrRunning), name)
	}
	require.Zero(t, d.Count(`select count(*) from retention_job_log`))
	require.Zero(t, d.Count(`select count(*) from pg_locks where locktype = 'advisory' and classid = (retention_lock('job_runs') >> 32)::int8::oid`),
		"a refused run holds no lock")
}

// The figures of the database's own clock decide, not those of the machine that asks.
func TestOnlyTheDatabasesClockCounts(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, err := d.Owner.Exec(t.Context(), `insert into idempotency_keys (workspace_id, route, key, fingerprint, expires_at)
		values ($1, 'r', 'k', sha256('x'), clock_timestamp() + interval '1 hour')`, d.Space.ID)
	require.NoError(t, err)
	pruned := prune(d, "idempotency_keys", false)
	require.Zero(t, pruned.Deleted)
	var skew float64
	require.NoError(t, d.Owner.QueryRow(t.Context(), `
		select abs(extract(epoch from cutoff_ts - started_at)) from retention_job_log where id = $1`, pruned.Entry).Scan(&skew))
	require.Less(t, skew, 0.1)
}

// Whole days of the event log go with their partition; what is in the default one goes by batches.
func TestOldDaysOfTheEventLogAreDropped(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, err := d.Owner.Exec(t.Context(), `
		do $$ declare day date := (now() at time zone 'utc')::date - 10; begin
			execute format('create table event_log_%s partition of event_log for values from (%L) to (%L)',
				to_char(day, 'YYYYMMDD'), day::timestamp at time zone 'utc', (day + 1)::timestamp at time zone 'utc');
		end $$`)
	require.NoError(t, err)
	for days, events := range map[int]int{9: 350, 6: 20} { // in the default partition
		_, err = d.Owner.Exec(t.Context(), `
			insert into event_log (topic, type, entity_id, at) select 'jobs', 'job.available', i, now() - make_interval(days => $1) from generate_series(1, $2) i`, days, events)
		require.NoError(t, err)
	}
	_, err = d.Owner.Exec(t.Context(), `
		insert into event_log (topic, type, entity_id, at)
		select 'jobs', 'job.available', i, date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '9 days 12 hours' from generate_series(1, 500) i`)
	require.NoError(t, err)
	before := d.Count(`select count(*) from event_log`)
	partitions := d.Count(`select count(*) from pg_inherits where inhparent = 'event_log'::regclass`)
	counted := prune(d, "job_events", true)
	require.EqualValues(t, 850, counted.Deleted)
	require.Equal(t, before+2, d.Count(`select count(*) from event_log`), "but for the run's own two events")
	pruned := prune(d, "job_events", false)
	require.EqualValues(t, 850, pruned.Deleted)
	require.Equal(t, before+4-850, d.Count(`select count(*) from event_log`))
	require.Equal(t, partitions-1, d.Count(`select count(*) from pg_inherits where inhparent = 'event_log'::regclass`))
	bounds, err := d.Store.EventLog.Bounds(t.Context())
	require.NoError(t, err)
	require.Positive(t, bounds.Floor.XID, "a cursor from before cannot be resumed")
	require.Zero(t, prune(d, "job_events", false).Deleted)
}
