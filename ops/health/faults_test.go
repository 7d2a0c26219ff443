package health_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"millrace/events"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store/upkeep"
)

// fault is something that breaks, and what health must report.
type fault struct {
	name      string
	component string
	status    ops.Status
	inject    func(*world)
}

// sql is a fault of the data or of the schema.
func sql(statements ...string) func(*world) {
	return func(w *world) {
		for _, statement := range statements {
			w.exec(statement)
		}
	}
}

// llm records calls as the knowledge base does.
func llm(calls int, reason, ago string) string {
	return fmt.Sprintf(`insert into llm_minutes (minute, provider, model, reason_code, calls, last_at)
		values (date_trunc('minute', now() - interval '%[1]s'), 'openai', 'm', '%[2]s', %[3]d, now() - interval '%[1]s')`, ago, reason, calls)
}

// run is an entry of the retention log.
func run(job string, ok bool, ago string) string {
	return fmt.Sprintf(`insert into retention_job_log (job_name, source, queued_at, started_at, finished_at, dry_run, age, batch_size, ok, error)
		values ('%s', 'river', now() - interval '%[2]s', now() - interval '%[2]s', now() - interval '%[2]s', false, '1 day', 100, %[3]t,
		        case when not %[3]t then 'refused' end)`, job, ago, ok)
}

const installedLongAgo = `update retention_rules set created_at = now() - interval '1 year'`

func allRuns(ago string) string {
	return `insert into retention_job_log (job_name, source, started_at, finished_at, dry_run, age, batch_size, ok)
		select job_name, 'river', now() - interval '` + ago + `', now() - interval '` + ago + `', false, '1 day', 100, true from retention_rules`
}

func job(queue, state, ago string) string {
	return fmt.Sprintf(`insert into river_job (kind, args, queue, max_attempts, state, scheduled_at, attempted_at)
		values ('k', '{}', '%s', 8, '%s', now() - interval '%[3]s', now() - interval '%[3]s')`, queue, state, ago)
}

func ingested(status string, ago string, n int) string {
	completed := "null"
	if status == "completed" || status == "failed" {
		completed = "now() - interval '" + ago + "'"
	}
	return fmt.Sprintf(`insert into ingest_jobs (id, workspace_id, source_type, detected, document_id, status, river_job_id, created_at, completed_at, reason)
		select gen_random_uuid(), w.id, 'pdf', false, gen_random_uuid(), '%s', 1, now() - interval '%s', %s, 'no text'
		  from workspaces w, generate_series(1, %d)`, status, ago, completed, n)
}

func tunes(status string, n int) string {
	return fmt.Sprintf(`
		with d as (insert into datasets (id, workspace_id, name, symbol, timeframe, calendar, bars, from_at, to_at, sha256, data)
		           select gen_random_uuid(), id, gen_random_uuid()::text, 's', '1d', 252, 1, now(), now(), sha256(''), '' from workspaces returning id, workspace_id)
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, started_at, completed_at)
		select gen_random_uuid(), d.workspace_id, d.id, 's', 'o', 'grid', '{}', '%s', true, 1, now(), now() from d, generate_series(1, %d)`, status, n)
}

// schedule is one of each workspace with a column that is not as it should be.
func schedule(column, value string) string {
	job := "null"
	if column == "next_at" {
		job = "1"
	}
	return fmt.Sprintf(`insert into schedules (id, workspace_id, name, kind, request, cron, missed, job_id, %s)
		select gen_random_uuid(), id, gen_random_uuid()::text, 'tune', '{}', '@daily', 'once', %s, %s from workspaces`, column, job, value)
}

// missed are so many slots of a schedule that is there.
func missed(n int) string {
	return fmt.Sprintf(`insert into schedule_slots (id, schedule_id, workspace_id, cause, slot_at, first_at, slots, state, reason)
		select gen_random_uuid(), id, workspace_id, 'cron', now(), now(), %d, 'skipped', 'missed while nothing could run (missed: skip)' from schedules limit 1`, n)
}

// webhook is one of each workspace at the log's beginning.
func webhook(state, failingSince string) string {
	return fmt.Sprintf(`insert into webhooks (id, workspace_id, url, state, secret, epoch, xid, event_id, failing_since)
		select gen_random_uuid(), id, 'https://example.com', '%s', '', 1, '0', 0, %s from workspaces`, state, failingSince)
}

// credential is a key of each workspace that was used a while ago, and ends in a while.
func credential(used, ends string) string {
	return fmt.Sprintf(`insert into api_keys (id, workspace_id, name, role, key_sha256, last_used_at, expires_at)
		select gen_random_uuid(), id, 'ci', 'member', sha256(id::text::bytea), now() - interval '%s', now() + interval '%s' from workspaces`, used, ends)
}

// certificateEnding has the process serve TLS with a certificate that ends in a while.
func certificateEnding(left time.Duration) func(*world) {
	return func(w *world) { w.opts.CertificateEnds = func() time.Time { return time.Now().Add(left) } }
}

// undelivered is an event of each workspace that happened a while ago.
func undelivered(ago string) string {
	return fmt.Sprintf(`insert into event_log (workspace_id, topic, type, entity_id, at)
		select id, 'backtests', 'backtest.tune.completed', 'e', clock_timestamp() - interval '%s' from workspaces`, ago)
}

// unsealed is an entry of each workspace in the audit log, of a while ago, which nobody has sealed.
func unsealed(ago string) string {
	return fmt.Sprintf(`insert into audit_unsealed (workspace_id, entry, hash, at)
		select id, '{"route": "x"}', '', clock_timestamp() - interval '%s' from workspaces`, ago)
}

const noWorker = `delete from workers`

func keys(n int) string {
	return fmt.Sprintf(`insert into idempotency_keys (workspace_id, route, key, fingerprint, status, expires_at)
		select id, 'r', i::text, sha256(''), 202, now() - interval '1 hour' from workspaces, generate_series(1, %d) i`, n)
}

func stateOfFeed(status events.Status) func(*world) {
	return func(w *world) { w.opts.Feed = func() events.Status { return status } }
}

func qdrantFails(fail func(context.Context, string) error) func(*world) {
	return func(w *world) { w.useQdrant(); w.qdrant.Fail(fail) }
}

var faults = []fault{
	{"database down", "database", ops.StatusError, func(w *world) { w.wire.set(cut, 0) }},
	{"database hangs", "database", ops.StatusError, func(w *world) { w.wire.set(hang, 0) }},
	{"database slow", "database", ops.StatusDegraded, func(w *world) { w.wire.set(slow, 33*time.Millisecond) }},
	{"database very slow", "database", ops.StatusError, func(w *world) { w.wire.set(slow, 110*time.Millisecond) }},
	{"pool full", "database", ops.StatusDegraded, func(w *world) { w.fillPool(0) }},
	{"pool slow", "database", ops.StatusDegraded, func(w *world) { w.fillPool(200 * time.Millisecond)() }},
	{"pool very slow", "database", ops.StatusError, func(w *world) { w.fillPool(600 * time.Millisecond)() }},
	{"table of event counts gone", "database", ops.StatusError, sql(`drop table event_counts`)},
	{"no right to read", "database", ops.StatusError, sql(`revoke select on event_counts from millrace_fleet`)},
	{"only reads", "database", ops.StatusError, func(w *world) {
		w.exec(`do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`)
		w.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	}},
	{"no room for a row", "database", ops.StatusError, sql(`alter table write_probe add check (length(filling) < 10) not valid`)},
	{"own clock off", "database", ops.StatusDegraded, func(w *world) {
		now := time.Now()
		w.main.Clock().Set(now.Add(-3*time.Second), now, now)
	}},
	{"login refused", "database", ops.StatusError, func(w *world) {
		w.exec(`do $$ begin execute format('alter database %I connection limit 0', current_database()); end $$`)
		w.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	}},

	{"no collection", "embedded", ops.StatusDegraded, sql(`delete from vector_sets`, `delete from vector_collections`)},
	{"vectors gone", "embedded", ops.StatusDegraded, sql(`delete from vectors`)},
	{"table of vectors gone", "embedded", ops.StatusError, sql(`drop table vector_sets cascade`)},
	{"column of vectors gone", "embedded", ops.StatusError, sql(`alter table vector_sets rename live to alive`)},
	{"qdrant down", "qdrant", ops.StatusError, func(w *world) { w.useQdrant(); w.qdrant.Stop() }},
	{"qdrant hangs", "qdrant", ops.StatusError, qdrantFails(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })},
	{"qdrant fails", "qdrant", ops.StatusError, qdrantFails(func(context.Context, string) error { return errors.New("out of memory") })},
	{"qdrant emptied", "qdrant", ops.StatusDegraded, func(w *world) { w.useQdrant(); w.qdrant.Wipe() }},
	{"qdrant lost its collection, which is made again", "qdrant", ops.StatusDegraded, func(w *world) {
		w.useQdrant()
		w.qdrant.Make(collection.Name, &client.VectorParams{Size: 4, Distance: client.Distance_Cosine})
	}},
	{"qdrant cannot count", "qdrant", ops.StatusError, qdrantFails(func(_ context.Context, method string) error {
		if strings.HasSuffix(method, "/Count") {
			return status.Error(codes.Internal, "Service internal error")
		}
		return nil
	})},
	{"collection of other dimensions", "qdrant", ops.StatusDegraded, func(w *world) {
		w.useQdrant()
		w.qdrant.Make(collection.Name, &client.VectorParams{Size: 5, Distance: client.Distance_Cosine})
	}},
	{"collection of another distance", "qdrant", ops.StatusDegraded, func(w *world) {
		w.useQdrant()
		w.qdrant.Make(collection.Name, &client.VectorParams{Size: 4, Distance: client.Distance_Dot})
	}},
	{"collection red", "qdrant", ops.StatusDegraded, func(w *world) {
		w.useQdrant()
		w.qdrant.Report(collection.Name, client.CollectionStatus_Red, "")
	}},
	{"optimizer fails", "qdrant", ops.StatusDegraded, func(w *world) {
		w.useQdrant()
		w.qdrant.Report(collection.Name, client.CollectionStatus_Yellow, "no space left on device")
	}},
	{"the check itself panics", "embedded", ops.StatusError, func(w *world) { w.opts.Vectors.Index = nil }},

	{"a fifth of LLM calls fails", "llm", ops.StatusDegraded, sql(llm(80, "", "10 minutes"), llm(20, "llm_error", "11 minutes"))},
	{"LLM rate limited", "llm", ops.StatusDegraded, sql(llm(10, "", "5 minutes"), llm(5, "llm_rate_limit", "50 minutes"))},
	{"every LLM call fails", "llm", ops.StatusError, sql(llm(100, "", "20 minutes"), llm(3, "llm_error", "2 minutes"))},
	{"every LLM call times out", "llm", ops.StatusError, sql(llm(3, "llm_timeout", "14 minutes"))},
	{"record of LLM calls gone", "llm", ops.StatusError, sql(`drop table llm_minutes`)},

	{"a worker silent", "tunes", ops.StatusDegraded, sql(`insert into workers (id, host, pid, version, queues, beat_at)
		values ('frozen', 'h', 2, 'v', '{"trials": 1}', clock_timestamp() - interval '5 s')`)},
	{"a worker's clock off", "tunes", ops.StatusDegraded, sql(`update workers set clock_ahead_seconds = -7200`)},
	{"tune without a job", "tunes", ops.StatusDegraded, sql(tunes("queued", 1))},
	{"ingestion without a job", "ingestion", ops.StatusDegraded, sql(ingested("retrying", "1 minute", 1))},

	{"subscribers dropped", "sse", ops.StatusDegraded, func(w *world) { require.NoError(w.t, w.main.EventLog.AddCount(w.t.Context(), "sse.drop", 2)) }},
	{"events held up", "sse", ops.StatusDegraded, func(w *world) {
		w.hold(`insert into event_log (topic, type, entity_id) values ('jobs', 'job.available', '1')`)
		w.exec(`insert into event_log (topic, type, entity_id, at) values ('jobs', 'job.available', '2', clock_timestamp() - interval '2 s')`)
	}},
	{"listener lost", "sse", ops.StatusDegraded, stateOfFeed(events.Status{ListenerDown: 4 * time.Second})},
	{"listener gone", "sse", ops.StatusError, stateOfFeed(events.Status{ListenerDown: 11 * time.Second})},
	{"relay gone", "sse", ops.StatusError, stateOfFeed(events.Status{RelayDown: 11 * time.Second})},
	{"relay lags", "sse", ops.StatusDegraded, stateOfFeed(events.Status{Lag: 1100 * time.Millisecond})},
	{"no API process", "sse", ops.StatusDegraded, func(w *world) {
		w.opts.Feed = nil
		require.NoError(w.t, w.feed.Stop(w.t.Context()))
	}},
	{"event log gone", "sse", ops.StatusError, sql(`drop table event_log cascade`)},
	{"counters gone", "sse", ops.StatusError, sql(`drop table counters`)},

	{"schedule fails each time", "schedules", ops.StatusDegraded, sql(schedule("failures", "3"))},
	{"slots missed", "schedules", ops.StatusDegraded, sql(schedule("failures", "0"), missed(2))},
	{"slot late", "schedules", ops.StatusDegraded, sql(schedule("next_at", "clock_timestamp() - interval '61 s'"))},
	{"slot late by much", "schedules", ops.StatusError, sql(schedule("next_at", "clock_timestamp() - interval '11 minutes'"))},
	{"table of schedules gone", "schedules", ops.StatusError, sql(`drop table schedules cascade`)},
	{"table of slots gone", "schedules", ops.StatusError, sql(`drop table schedule_slots`)},

	{"webhook dead", "webhooks", ops.StatusDegraded, sql(webhook("dead", "null"))},
	{"webhook fails", "webhooks", ops.StatusDegraded, sql(webhook("active", "clock_timestamp() - interval '61 minutes'"))},
	{"webhook behind", "webhooks", ops.StatusDegraded, sql(webhook("active", "null"), undelivered("61 s"))},
	{"webhook behind by much", "webhooks", ops.StatusError, sql(webhook("active", "null"), undelivered("11 minutes"))},
	{"table of webhooks gone", "webhooks", ops.StatusError, sql(`drop table webhooks cascade`)},

	{"key in use ends", "credentials", ops.StatusDegraded, sql(credential("1 day", "2 days"))},
	{"admin's token in use ends", "credentials", ops.StatusDegraded, sql(`insert into admin_tokens (id, name, token_sha256, last_used_at, expires_at)
		values (gen_random_uuid(), 'ada', sha256('t'), now(), now() + interval '1 hour')`)},
	{"certificate ends soon", "credentials", ops.StatusDegraded, certificateEnding(13 * 24 * time.Hour)},
	{"certificate has ended", "credentials", ops.StatusError, certificateEnding(-time.Minute)},
	{"table of keys of workspaces gone", "credentials", ops.StatusError, sql(`drop table api_keys cascade`)},

	{"entry of the audit log waits", "audit", ops.StatusDegraded, sql(unsealed("61 s"))},
	{"entry of the audit log waits long", "audit", ops.StatusError, sql(unsealed("16 minutes"))},
	{"table of audit entries gone", "audit", ops.StatusError, sql(`drop table audit_unsealed`)},

	{"retention failed once", "retention", ops.StatusDegraded, sql(run("job_runs", true, "1 day"), run("job_runs", false, "1 hour"))},
	{"retention failed thrice", "retention", ops.StatusError, sql(run("job_runs", false, "3 hours"), run("job_runs", false, "2 hours"), run("job_runs", false, "1 hour"))},
	{"retention late", "retention", ops.StatusDegraded, sql(installedLongAgo, allRuns("27 hours"))},
	{"retention missing", "retention", ops.StatusError, sql(installedLongAgo, allRuns("49 hours"))},
	{"retention never ran", "retention", ops.StatusError, sql(installedLongAgo)},
	{"retention ran dry only", "retention", ops.StatusError, sql(installedLongAgo, allRuns("1 hour"), `update retention_job_log set dry_run = true`)},
	{"retention interrupted", "retention", ops.StatusDegraded, sql(`insert into retention_job_log (job_name, source, started_at, dry_run, age, batch_size)
		values ('match_runs', 'river', now(), false, '1 day', 100)`)},
	{"retention refused by the table", "retention", ops.StatusDegraded, func(w *world) {
		w.exec(`drop table trade_events`)
		_, err := w.main.Upkeep.Prune(w.t.Context(), upkeep.Prune{Job: "trade_events", BatchSize: 100, Source: "river"})
		require.Error(w.t, err)
	}},
	{"retention rules gone", "retention", ops.StatusError, sql(`drop table retention_rules cascade`)},
	{"column of retention gone", "retention", ops.StatusError, sql(`alter table retention_job_log drop column ok cascade`)},

	{"expired keys", "idempotency", ops.StatusDegraded, sql(keys(101))},
	{"many expired keys", "idempotency", ops.StatusError, sql(keys(1001))},
	{"key left unanswered", "idempotency", ops.StatusError, sql(`insert into idempotency_keys (workspace_id, route, key, fingerprint, created_at)
		select id, 'r', 'k', sha256(''), now() - interval '11 minutes' from workspaces`)},
	{"table of keys gone", "idempotency", ops.StatusError, sql(`drop table idempotency_keys`)},
	{"column of keys gone", "idempotency", ops.StatusError, sql(`alter table idempotency_keys rename expires_at to ends_at`)},

	{"work and no worker", "tunes", ops.StatusError, sql(noWorker, job("trials", "available", "1 minute"))},
	{"worker died with a running job", "tunes", ops.StatusError, sql(`update workers set beat_at = now() - interval '20 s'`, job("trials", "running", "1 minute"))},
	{"worker of other queues", "tunes", ops.StatusError, sql(`update workers set queues = '{"ingestion": 4}'`, job("tunes", "available", "1 minute"))},
	{"walk-forwards and no worker of theirs", "tunes", ops.StatusError, sql(`update workers set queues = '{"tunes": 1, "trials": 4}'`, job("wfo", "available", "1 minute"))},
	{"queue stands still", "tunes", ops.StatusDegraded, sql(job("tunes", "available", "11 minutes"))},
	{"job stuck", "tunes", ops.StatusDegraded, sql(job("trials", "running", "61 minutes"))},
	{"tunes fail", "tunes", ops.StatusDegraded, sql(tunes("failed", 3), tunes("completed", 2))},
	{"table of tunes gone", "tunes", ops.StatusError, sql(`drop table tunes cascade`)},
	{"table of workers gone", "tunes", ops.StatusError, sql(`drop table workers`)},
	{"River's table gone", "tunes", ops.StatusError, sql(`drop table river_job cascade`)},

	{"ingestion fails", "ingestion", ops.StatusDegraded, sql(ingested("completed", "2 hours", 1), ingested("failed", "1 hour", 1))},
	{"ingestion never worked", "ingestion", ops.StatusDegraded, sql(ingested("failed", "1 hour", 1))},
	{"ingestion backlog", "ingestion", ops.StatusError, sql(ingested("queued", "31 minutes", 101))},
	{"documents and no worker of theirs", "ingestion", ops.StatusError, sql(`update workers set queues = '{"tunes": 1, "trials": 4}'`, job("ingestion", "available", "1 minute"))},
	{"table of ingestion gone", "ingestion", ops.StatusError, sql(`drop table ingest_jobs cascade`)},
	{"column of ingestion gone", "ingestion", ops.StatusError, sql(`alter table ingest_jobs drop column reason`)},
}

// Each fault shows at its component, with its status, within five seconds; the answer takes no longer
// than 1.2 s; and what is broken is never called ok.
func TestEveryFaultShowsInItsComponent(t *testing.T) {
	require.GreaterOrEqual(t, len(faults), 40)
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var before ops.Overview
			require.Eventually(t, func() bool {
				before = health.New(w.opts).Look(t.Context())
				return before.Status == ops.StatusOK
			}, 10*time.Second, 20*time.Millisecond, "a world that is well: %+v", &before)
			fault.inject(w)
			checks := health.New(w.opts)
			var seen ops.Component
			require.Eventually(t, func() bool {
				began := time.Now()
				overview := checks.Look(t.Context())
				require.Less(t, time.Since(began), 1200*time.Millisecond)
				for _, c := range overview.Components {
					if c.Name == fault.component {
						seen = c
					}
				}
				return seen.Status == fault.status && overview.Status.Worse(fault.status) == overview.Status
			}, 5*time.Second, 20*time.Millisecond, "%s: %+v", fault.component, &seen)
			require.NotEmpty(t, seen.Summary)
			if fault.name != "the check itself panics" {
				require.NotEmpty(t, seen.Advice, "%+v", seen)
			}
		})
	}
}

// What ends without harm, or not soon, is not a fault.
func TestCredentialsThatNobodyMissesAreNotReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(credential("8 days", "2 days"))
	w.exec(strings.Replace(credential("1 day", "10 days"), "sha256(id::text::bytea)", "sha256('later')", 1))
	certificateEnding(15 * 24 * time.Hour)(w)
	for _, c := range health.New(w.opts).Look(t.Context()).Components {
		if c.Name == "credentials" {
			require.Equal(t, ops.StatusOK, c.Status, "%+v", c)
			require.Contains(t, fmt.Sprint(c.Details), "keys_ending 1")
			return
		}
	}
	t.Fatal("health has no component of credentials")
}

// With everything hanging at once, the answer comes in time and calls nothing ok that was not asked.
func TestHealthAnswersInTimeWhenEveryPartHangs(t *testing.T) {
	w := newWorld(t)
	qdrantFails(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })(w)
	w.opts.Embed = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	w.wire.set(hang, 0)
	for range 3 {
		began := time.Now()
		overview := health.New(w.opts).Look(t.Context())
		require.Less(t, time.Since(began), 1200*time.Millisecond)
		for _, c := range overview.Components {
			require.Equal(t, ops.StatusError, c.Status, "%+v", c)
		}
	}
	began := time.Now()
	ready := health.Ready(w.opts).Look(t.Context())
	require.Less(t, time.Since(began), 2200*time.Millisecond)
	require.Equal(t, ops.StatusError, ready.Status)
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	w.useQdrant()
	part := func(name string) ops.Status {
		for _, c := range health.Ready(w.opts).Look(t.Context()).Components {
			if c.Name == name {
				return c.Status
			}
		}
		return ""
	}
	for _, name := range []string{"database", "migrations", "vectors", "embedder"} {
		require.Equal(t, ops.StatusOK, part(name), name)
	}
	w.exec(`delete from millrace_migration where version_id = (select max(version_id) from millrace_migration)`)
	require.Equal(t, ops.StatusError, part("migrations"))
	w.qdrant.Stop()
	require.Equal(t, ops.StatusError, part("vectors"))
	w.opts.Embed = func(context.Context) error { return errors.New("no such model") }
	require.Equal(t, ops.StatusError, part("embedder"))
	require.Equal(t, ops.StatusOK, part("database"))
	w.wire.set(cut, 0)
	require.Equal(t, ops.StatusError, part("database"))
}
