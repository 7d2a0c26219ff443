package upkeep_test

// feed is what makes rows in the simulation: a rate of the whole fleet, scaled down, and the statement that makes n of
// them evenly between two times. In the statements @n, @from, @step (the seconds between two rows), @space, @dataset and
// @wide (a JSON document of about 900 bytes) are set.
type feed struct {
	name   string
	perDay float64
	sql    string
}

// Rates are a hundredth of those of a team that ends 200 tunes, 20 walk-forwards and 300 single backtests a day.
var feeds = []feed{
	{"tunes", 2, `
		with t as (
			insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, outcome, ranking, manifest,
			                   created_at, completed_at)
			select gen_random_uuid(), @space::uuid, @dataset::uuid, 'sma_cross', 'sharpe', 'grid', @wide::json, 'completed', true, 300, @wide::json,
			       array(select generate_series(1, 300)), @wide::text, at, at
			  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times
			returning id, completed_at),
		progress as (insert into tune_progress (tune_id, workspace_id, shards) select id, @space::uuid, 3 from t),
		shards as (
			insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor, done, columns)
			select id, @space::uuid, i, i * 100, 100, 0, true, decode(repeat(md5(id::text || i), 150), 'hex') from t, generate_series(0, 2) i),
		leaders as (
			insert into tune_leaderboard (tune_id, rank, workspace_id, dataset_id, strategy, objective, trial_index, score, entry)
			select id, i, @space::uuid, @dataset::uuid, 'sma_cross', 'sharpe', i, 1, @wide::json from t, generate_series(1, 10) i),
		over as (insert into tune_datasets (tune_id, position, workspace_id, dataset_id) select id, 0, @space::uuid, @dataset::uuid from t)
		insert into tune_explanations (tune_id, workspace_id, body) select id, @space::uuid, @wide::json from t`},
	{"walk-forwards", 0.2, `
		with w as (
			insert into wfo_runs (id, workspace_id, dataset_id, strategy, objective, search_type, spec, config, status, admitted, n_folds, n_trials,
			                      min_folds, top_k, allow_partial, candidates_job_id, outcome, created_at, completed_at)
			select gen_random_uuid(), @space::uuid, @dataset::uuid, 'sma_cross', 'sharpe', 'grid', @wide::json, '{}', 'completed', true, 5, 100, 3, 3, false, 1,
			       @wide::json, at, at
			  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times
			returning id, completed_at),
		progress as (insert into wfo_progress (wfo_id, workspace_id) select id, @space::uuid from w),
		over as (insert into wfo_datasets (wfo_id, workspace_id, position, dataset_id) select id, @space::uuid, 0, @dataset::uuid from w),
		candidates as (insert into wfo_candidates (wfo_id, rank, workspace_id, entry) select id, i, @space::uuid, @wide::json from w, generate_series(1, 5) i),
		t as (
			insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, wfo_id, wfo_fold, created_at, completed_at)
			select gen_random_uuid(), @space::uuid, @dataset::uuid, 'sma_cross', 'sharpe', 'grid', @wide::json, 'completed', true, 100, id, i, completed_at, completed_at
			  from w, generate_series(0, 4) i
			returning id, wfo_id, wfo_fold),
		shards as (
			insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor, done, columns)
			select id, @space::uuid, 0, 0, 100, 0, true, decode(repeat(md5(id::text), 150), 'hex') from t),
		leaders as (
			insert into tune_leaderboard (tune_id, rank, workspace_id, dataset_id, strategy, objective, trial_index, score, entry, fold)
			select id, i, @space::uuid, @dataset::uuid, 'sma_cross', 'sharpe', i, 1, @wide::json, true from t, generate_series(1, 3) i)
		insert into wfo_folds (wfo_id, fold, workspace_id, train_start, train_end, test_end, train_bars, test_bars, tune_id, status)
		select wfo_id, wfo_fold, @space::uuid, @from::timestamptz, @from::timestamptz, @from::timestamptz, 100, 50, id, 'completed' from t`},
	{"run plans", 0.2, `
		with p as (
			insert into run_plans (id, workspace_id, base, plan, status, variants, created_at, completed_at)
			select gen_random_uuid(), @space::uuid, @wide::json, @wide::json, 'completed', 2, at, at
			  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times
			returning id, completed_at),
		t as (
			insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, created_at, completed_at)
			select gen_random_uuid(), @space::uuid, @dataset::uuid, 'sma_cross', id::text, 'grid', @wide::json, 'failed', true, i, completed_at, completed_at
			  from p, generate_series(1, 2) i
			returning id, objective, n_trials)
		insert into run_plan_variants (run_plan_id, ordinal, workspace_id, variant_id, kind, label, overrides, tune_id)
		select objective::uuid, n_trials, @space::uuid, left(md5(id::text), 16), 'override', 'fast = 10', '{"fast": 10}', id from t`},
	{"runs", 3, `
		insert into backtest_runs (id, workspace_id, dataset_id, strategy, spec, metrics, trades, equity, first_bar, created_at)
		select gen_random_uuid(), @space::uuid, @dataset::uuid, 'sma_cross', @wide::jsonb, @wide::jsonb, '[]', array(select random() from generate_series(1, 250)), 0, @from::timestamptz + i * @step::interval
		  from generate_series(1, @n::int) i`},
	{"breadcrumbs", 4, `
		insert into trade_events (id, workspace_id, event_type, payload, created_at)
		select gen_random_uuid(), @space::uuid, 'RUN_STARTED', '{"variants": 2}', @from::timestamptz + i * @step::interval from generate_series(1, @n::int) i`},
	{"matches", 2, `
		insert into match_runs (id, workspace_id, kind, intent, intent_signature, request, status, candidates, best_score, weak, coverage_status, resolution,
		                        resolved_at, last_seen_at, created_at)
		select gen_random_uuid(), @space::uuid, 'recommend', 'a trend in gold', sha256('x'), @wide::json, 'ok', 3, 0.8, false, 'resolved', 'covered', at, at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"gaps that nobody takes up", 0.2, `
		insert into match_runs (id, workspace_id, kind, intent, intent_signature, request, status, candidates, best_score, weak, last_seen_at, created_at)
		select gen_random_uuid(), @space::uuid, 'query', 'who knows', sha256(at::text::bytea), @wide::json, 'none', 0, 0, true, at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"keys of requests", 20, `
		insert into idempotency_keys (workspace_id, route, key, fingerprint, body, expires_at)
		select @space::uuid, 'POST /backtests/tune', gen_random_uuid()::text, sha256('x'), convert_to(@wide::text, 'utf8'), @from::timestamptz + i * @step::interval + interval '7 days'
		  from generate_series(1, @n::int) i`},
	{"jobs that ended", 20, `
		insert into river_job (kind, args, queue, max_attempts, state, created_at, attempted_at, scheduled_at, finalized_at)
		select 'tune.shard', jsonb_build_object('workspace_id', @space::uuid), 'trials', 8, 'discarded', at, at, at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"events", 100, `
		insert into event_log (workspace_id, topic, type, entity_id, payload, at)
		select @space::uuid, 'backtests', 'backtest.tune.progress', gen_random_uuid()::text, '{"trials_completed": 100, "share_done": 0.5}', @from::timestamptz + i * @step::interval
		  from generate_series(1, @n::int) i`},
	{"ingestions", 1, `
		insert into ingest_jobs (id, workspace_id, source_type, detected, document_id, url, status, river_job_id, created_at, completed_at)
		select gen_random_uuid(), @space::uuid, 'article', false, gen_random_uuid(), 'https://example.com/' || i, 'completed', 1, at, at
		  from (select i, @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"re-embeddings", 0.1, `
		insert into reembeds (id, workspace_id, provider, model, dimensions, collection, from_collection, from_dimensions, status, river_job_id, created_at, completed_at)
		select gen_random_uuid(), @space::uuid, 'hash', 'h', 384, 'b', 'a', 384, 'completed', 1, at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"deletions", 0.5, `
		insert into deletions (id, workspace_id, kind, subject_id, items, status, river_job_id, created_at, completed_at)
		select gen_random_uuid(), @space::uuid, 'tune', gen_random_uuid(), 1, 'completed', 1, at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"keys that were revoked", 0.1, `
		insert into api_keys (id, workspace_id, name, role, key_sha256, created_at, revoked_at)
		select gen_random_uuid(), @space::uuid, 'ci', 'member', sha256(at::text::bytea), at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"tokens of admins that expired", 0.1, `
		insert into admin_tokens (id, name, token_sha256, created_at, expires_at)
		select gen_random_uuid(), 'a', sha256(at::text::bytea), at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"scripts that were erased", 0.2, `
		insert into strategies (id, workspace_id, name, version, sha256, source, report, status, created_at, erased_at)
		select gen_random_uuid(), @space::uuid, 'x', 1 + extract(epoch from at)::int, sha256(at::text::bytea), repeat('plot(close)', 200), '{}', 'ready', at, at
		  from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"sessions", 1, `
		insert into admin_sessions (digest, expires_at)
		select sha256(at::text::bytea), at + interval '12 hours' from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"sign-ins that were given up", 1, `
		insert into sign_ins (digest, next, expires_at)
		select sha256(at::text::bytea), '/admin', at + interval '10 minutes' from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"tickets", 1, `
		insert into event_tickets (digest, workspace_id, expires_at)
		select sha256(at::text::bytea), @space::uuid, at + interval '1 hour' from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"workers that left", 0.5, `
		insert into workers (id, host, pid, version, queues, started_at, beat_at)
		select at::text, 'h', 1, 'v', '{"trials": 2}', at, at from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"minutes of language models", 5, `
		insert into llm_minutes (minute, provider, model, reason_code, calls, last_at)
		select at, 'openai', 'm', '', 1, at from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"addresses that rates are counted for", 10, `
		insert into rate_limits (key, head, counts, idle_at)
		select at::text, 0, array_fill(0, array[61]), at from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"counts of events", 10, `
		insert into event_counts (workspace_id, span, began_at, type, n)
		select @space::uuid, '15 minutes', at, 'job.completed', 1 from (select @from::timestamptz + i * @step::interval as at from generate_series(1, @n::int) i) times`},
	{"uploads that nobody claimed", 1, `
		with u as (
			insert into ingest_uploads (id, workspace_id, size, created_at)
			select gen_random_uuid(), @space::uuid, 4, @from::timestamptz + i * @step::interval from generate_series(1, @n::int) i returning id)
		insert into ingest_upload_parts (upload_id, workspace_id, part, data) select id, @space::uuid, 0, 'abcd' from u`},
}

// auditPerDay is how many entries the workspace's chain of the audit log gets.
const auditPerDay = 20

// bound is what a table may have after retention has run: for each rate (rows a day) what comes in its window (days) and
// in one step of the simulation, and rows that are always there.
type bound struct {
	windows []window
	always  int
}

type window struct {
	perDay float64
	days   int
}

func within(perDay float64, days int) bound { return bound{windows: []window{{perDay, days}}} }

// bounds are the tables that grow with time; every other one is bounded by what people keep or by number, see
// ops/docs/sizing.md.
var bounds = map[string]bound{
	"tunes":             within(2+0.2*5+0.2*2, 1095),
	"tune_progress":     within(2, 1095),
	"tune_datasets":     within(2, 1095),
	"tune_explanations": within(2, 1095),
	"tune_leaderboard":  within(2*10+0.2*5*3, 1095),
	"tune_shards":       within(2*3+0.2*5, 180),
	"wfo_runs":          within(0.2, 1095),
	"wfo_progress":      within(0.2, 1095),
	"wfo_datasets":      within(0.2, 1095),
	"wfo_folds":         within(0.2*5, 1095),
	"wfo_candidates":    within(0.2*5, 1095),
	"run_plans":         within(0.2, 1095),
	"run_plan_variants": within(0.2*2, 1095),
	"backtest_runs":     within(3, 365),
	"trade_events":      within(4, 90),
	"match_runs":        {windows: []window{{2, 180}, {0.2, 730}}},
	"idempotency_keys":  within(20, 7),
	"river_job":         within(20, 30),
	"event_log":         {windows: []window{{100, 8}}, always: 200}, // whole days; the retention jobs write events too
	"ingest_jobs":       within(1, 180),
	"reembeds":          within(0.1, 365),
	"deletions":         within(0.5, 90),
	"api_keys":          within(0.1, 365),
	"admin_tokens":      within(0.1, 365),
	"strategies":        within(0.2, 30),
	"audit_log":         within(auditPerDay, 1095),
	// What has expired goes at the next sign-in and ticket.
	"admin_sessions":      {windows: []window{{1, 1}}, always: 2},
	"sign_ins":            {windows: []window{{1, 1}}, always: 2},
	"event_tickets":       {windows: []window{{1, 1}}, always: 2},
	"workers":             within(0.5, 1),
	"llm_minutes":         {windows: []window{{5, 7}}, always: 2},
	"rate_limits":         within(10, 1),
	"event_counts":        {windows: []window{{10, 2}}, always: 600},
	"counter_deltas":      {always: 50},
	"audit_unsealed":      {always: 50},
	"ingest_uploads":      within(1, 1),
	"ingest_upload_parts": within(1, 1),
}
