-- +goose Up
-- A window for every table that grows with use. A step takes away what one condition on one table cannot pick: a
-- function of the cutoff, of how many rows a batch may take, and of whether it only counts. What people archived, or
-- tagged keep, stays.
alter table retention_rules
    add column step text,
    -- Of runs that the log no longer has, so that the totals of the metrics never fall.
    add column past_ok bigint not null default 0,
    add column past_failed bigint not null default 0,
    add column past_rows bigint not null default 0;
grant update on retention_rules to millrace_fleet;

-- When a tune's trials were dropped: its summary, leaderboard and manifest are still there.
alter table tunes add column trials_dropped_at timestamptz;
create index tunes_with_trials on tunes (completed_at) where completed_at is not null and trials_dropped_at is null;
create index wfo_runs_ended on wfo_runs (completed_at) where completed_at is not null;
create index run_plans_ended on run_plans (completed_at) where completed_at is not null;
create index backtest_runs_aged on backtest_runs (created_at);
create index ingest_jobs_ended on ingest_jobs (completed_at) where completed_at is not null;
create index match_runs_asked on match_runs (last_seen_at) where coverage_status <> 'resolved';
create index retention_job_log_aged on retention_job_log (finished_at) where finished_at is not null;
-- What an erased script is looked for by.
create index tunes_of_strategy on tunes (workspace_id, strategy);
create index wfo_runs_of_strategy on wfo_runs (workspace_id, strategy);
create index backtest_runs_of_strategy on backtest_runs (workspace_id, strategy);
alter table api_keys add column ended_at timestamptz generated always as (least(revoked_at, expires_at)) stored;
alter table admin_tokens add column ended_at timestamptz generated always as (least(revoked_at, expires_at)) stored;

grant delete on admin_tokens, retention_job_log to millrace_fleet;
grant update on backtest_runs, strategies to millrace_fleet; -- to lock what is deleted, which asks for this right

insert into retention_rules (job_name, table_name, at_column, due, age, schedule, step) values
    ('tune_trials', 'tune_shards', 'completed_at', 'true', '180 days', '40 3 * * *', 'retention_tune_trials'),
    ('run_plans', 'run_plans', 'completed_at', 'true', '1095 days', '41 3 * * *', 'retention_run_plans'),
    ('walk_forwards', 'wfo_runs', 'completed_at', 'true', '1095 days', '43 3 * * *', 'retention_walk_forwards'),
    ('tunes', 'tunes', 'completed_at', 'true', '1095 days', '44 3 * * *', 'retention_tunes'),
    ('backtest_runs', 'backtest_runs', 'created_at', 'true', '365 days', '46 3 * * *', 'retention_backtest_runs'),
    ('retention_log', 'retention_job_log', 'finished_at', 'true', '365 days', '47 3 * * *', 'retention_forget_log');
insert into retention_rules (job_name, table_name, at_column, due, age, schedule) values
    ('ingestions', 'ingest_jobs', 'completed_at', $$status in ('completed', 'failed', 'canceled')$$, '180 days', '49 3 * * *'),
    ('reembeddings', 'reembeds', 'completed_at', $$status in ('completed', 'failed')$$, '365 days', '50 3 * * *'),
    -- Gaps that nobody took up, and whose question was not asked again.
    ('open_gaps', 'match_runs', 'last_seen_at', $$coverage_status <> 'resolved'$$, '730 days', '52 3 * * *'),
    ('deletions', 'deletions', 'completed_at', $$status = 'completed'$$, '90 days', '53 3 * * *'),
    -- The age of a key counts from its end; entries of the audit log have its name.
    ('api_keys', 'api_keys', 'ended_at', 'true', '365 days', '55 3 * * *'),
    ('admin_tokens', 'admin_tokens', 'ended_at', 'true', '365 days', '56 3 * * *'),
    ('erased_scripts', 'strategies', 'erased_at',
     $$not exists (select from tunes t where t.workspace_id = strategies.workspace_id and t.strategy = 'pine:' || strategies.name || '@' || strategies.version)
       and not exists (select from wfo_runs t where t.workspace_id = strategies.workspace_id and t.strategy = 'pine:' || strategies.name || '@' || strategies.version)
       and not exists (select from backtest_runs t where t.workspace_id = strategies.workspace_id and t.strategy = 'pine:' || strategies.name || '@' || strategies.version)$$,
     '30 days', '58 3 * * *');

-- Whether people want to keep something, by its archiving and its tags.
create function retention_kept(subject uuid, archived_at timestamptz) returns boolean language sql stable
    set search_path = public, pg_temp as $$
    select archived_at is not null or exists (select from labels l where l.subject_id = subject and 'keep' = any (l.tags))
$$;

-- A fold is kept with its walk-forward, a variant with its run plan.
create function retention_kept_tune(t tunes) returns boolean language sql stable set search_path = public, pg_temp as $$
    select retention_kept(t.id, t.archived_at)
        or exists (select from wfo_runs w where w.id = t.wfo_id and retention_kept(w.id, w.archived_at))
        or exists (select from run_plan_variants v join run_plans p on p.id = v.run_plan_id
                    where v.tune_id = t.id and (p.pinned or p.archived_at is not null))
$$;

-- +goose StatementBegin
-- The trials of tunes that ended before the cutoff: all of a tune in one batch, and of several while they come to no
-- more than a million trials, about 24 MB.
create function retention_tune_trials(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
declare
    picked uuid[];
begin
    more := false;
    if dry_run then
        select count(*) into gone from tunes t join tune_shards s on s.tune_id = t.id
         where t.completed_at < cutoff and t.trials_dropped_at is null and t.deleted_at is null and not retention_kept_tune(t);
        return;
    end if;
    with page as materialized (
        select t.id, t.completed_at, t.n_trials from tunes t
         where t.completed_at < cutoff and t.trials_dropped_at is null and t.deleted_at is null and not retention_kept_tune(t)
         order by t.completed_at limit least(at_most, 200) for update skip locked),
    sized as (
        select id, row_number() over oldest as n, sum(n_trials) over oldest as trials
          from page window oldest as (order by completed_at, id rows unbounded preceding))
    select array_agg(id) into picked from sized where n = 1 or trials <= 1000000;
    delete from tune_shards where tune_id = any (picked);
    get diagnostics gone = row_count;
    update tunes set trials_dropped_at = clock_timestamp(), ranking = null where id = any (picked);
    more := picked is not null;
end
$$;

-- Tunes, with their leaderboards; folds and variants go with what they are of.
create function retention_tunes(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
declare
    picked uuid[];
begin
    more := false;
    if dry_run then
        select count(*) into gone from tunes t
         where t.completed_at < cutoff and t.wfo_id is null and t.deleted_at is null and not retention_kept_tune(t)
           and not exists (select from run_plan_variants v where v.tune_id = t.id);
        return;
    end if;
    with page as materialized (
        select t.id, t.completed_at, case when t.trials_dropped_at is null then t.n_trials else 0 end as n_trials from tunes t
         where t.completed_at < cutoff and t.wfo_id is null and t.deleted_at is null and not retention_kept_tune(t)
           and not exists (select from run_plan_variants v where v.tune_id = t.id)
         order by t.completed_at limit least(at_most, 50) for update skip locked),
    sized as (
        select id, row_number() over oldest as n, sum(n_trials) over oldest as trials,
               sum((select count(*) from tune_leaderboard l where l.tune_id = page.id)) over oldest as leaders
          from page window oldest as (order by completed_at, id rows unbounded preceding))
    select array_agg(id) into picked from sized where n = 1 or trials <= 1000000 and leaders <= at_most;
    delete from tunes where id = any (picked);
    get diagnostics gone = row_count;
    more := picked is not null;
end
$$;

-- The variants of a run plan become tunes like others, and go as those do.
create function retention_run_plans(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
declare
    picked uuid[];
begin
    more := false;
    if dry_run then
        select count(*) into gone from run_plans p where p.completed_at < cutoff and p.deleted_at is null and p.archived_at is null and not p.pinned;
        return;
    end if;
    with page as materialized (
        select p.id, p.completed_at, p.variants from run_plans p
         where p.completed_at < cutoff and p.deleted_at is null and p.archived_at is null and not p.pinned
         order by p.completed_at limit least(at_most, 200) for update skip locked),
    sized as (
        select id, row_number() over oldest as n, sum(variants) over oldest as variants
          from page window oldest as (order by completed_at, id rows unbounded preceding))
    select array_agg(id) into picked from sized where n = 1 or variants <= at_most;
    delete from run_plans where id = any (picked);
    get diagnostics gone = row_count;
    more := picked is not null;
end
$$;

-- One walk-forward at a time, hidden before the first of its rows goes: its folds may have 500 leaderboards. What is
-- hidden and in no deletion was hidden here, by a batch before.
create function retention_walk_forwards(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
declare
    picked uuid;
    folds uuid[];
    n bigint;
begin
    more := false;
    if dry_run then
        select count(*) into gone from wfo_runs w where w.completed_at < cutoff and w.deleted_at is null and not retention_kept(w.id, w.archived_at);
        return;
    end if;
    gone := 0;
    select w.id into picked from wfo_runs w
     where w.completed_at < cutoff and not retention_kept(w.id, w.archived_at)
       and (w.deleted_at is null or not exists (select from deletion_items i where i.subject_id = w.id))
     order by w.completed_at limit 1 for update skip locked;
    if picked is null then
        return;
    end if;
    more := true;
    update wfo_runs set deleted_at = clock_timestamp() where id = picked and deleted_at is null;
    select array_agg(id) into folds from tunes where wfo_id = picked;
    update tunes set deleted_at = clock_timestamp() where id = any (folds) and deleted_at is null;
    delete from tune_leaderboard where ctid = any (array(select ctid from tune_leaderboard where tune_id = any (folds) limit at_most));
    get diagnostics n = row_count;
    gone := gone + n;
    if gone < at_most then
        delete from tune_shards where ctid = any (array(select ctid from tune_shards where tune_id = any (folds) limit least(at_most - gone, 50)));
        get diagnostics n = row_count;
        gone := gone + n;
        if n = 50 then
            return;
        end if;
    end if;
    if gone < at_most then
        delete from wfo_candidates where ctid = any (array(select ctid from wfo_candidates where wfo_id = picked limit at_most - gone));
        get diagnostics n = row_count;
        gone := gone + n;
    end if;
    if gone < at_most then
        delete from wfo_runs where id = picked;
        gone := gone + 1;
    end if;
end
$$;

-- Equities and trades are wide, so a batch is few runs.
create function retention_backtest_runs(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
begin
    more := false;
    if dry_run then
        select count(*) into gone from backtest_runs r where r.created_at < cutoff and r.deleted_at is null;
        return;
    end if;
    delete from backtest_runs where ctid = any (array(
        select ctid from backtest_runs r where r.created_at < cutoff and r.deleted_at is null
         order by r.created_at limit least(at_most, 25) for update skip locked));
    get diagnostics gone = row_count;
    more := gone > 0;
end
$$;

-- The log of these jobs itself; what it loses is kept in sums.
create function retention_forget_log(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
begin
    more := false;
    if dry_run then
        select count(*) into gone from retention_job_log l where l.finished_at < cutoff;
        return;
    end if;
    with old as (
        delete from retention_job_log d where d.id = any (array(
            select l.id from retention_job_log l where l.finished_at < cutoff order by l.finished_at limit at_most for update skip locked))
        returning d.job_name, d.dry_run as dry, d.ok, d.rows_deleted),
    sums as (
        update retention_rules r
           set past_ok = r.past_ok + s.ok, past_failed = r.past_failed + s.failed, past_rows = r.past_rows + s.rows
          from (select job_name, count(*) filter (where ok) as ok, count(*) filter (where not ok) as failed, sum(rows_deleted) as rows
                  from old where not dry group by job_name) s
         where r.job_name = s.job_name)
    select count(*) into gone from old;
    more := gone = at_most;
end
$$;

create or replace function retention_batch(rule retention_rules, cutoff timestamptz, from_at timestamptz, n int,
                                           out gone bigint, out more boolean, out upto timestamptz)
    language plpgsql set search_path = public, pg_temp as $$
begin
    if rule.step is not null then
        execute format('select s.gone, s.more from %I($1, $2, false) s', rule.step) into gone, more using cutoff, n;
        return;
    end if;
    if rule.table_name = 'event_log' then
        select e.events, true into gone, more from event_log_prune(cutoff, n) e;
        gone := coalesce(gone, 0);
        more := coalesce(more, false);
        return;
    end if;
    execute format($sql$
        with page as materialized (
            select ctid as place, %1$I as at from %2$I
             where %3$s and %1$I < $1 and %1$I >= $2
             order by %1$I limit $3 for update skip locked),
        deleted as (
            delete from %2$I where ctid = any (array (select place from page)) returning 1)
        select (select count(*) from deleted), (select count(*) from page) = $3, (select max(at) from page)
        $sql$, rule.at_column, rule.table_name, rule.due)
       into gone, more, upto using cutoff, from_at, n;
end
$$;

create or replace function retention_count(rule retention_rules, cutoff timestamptz, after_at timestamptz, n int,
                                           out gone bigint, out more boolean, out upto timestamptz)
    language plpgsql set search_path = public, pg_temp as $$
begin
    if rule.step is not null then
        execute format('select s.gone, s.more from %I($1, $2, true) s', rule.step) into gone, more using cutoff, n;
        return;
    end if;
    if rule.table_name = 'event_log' then
        select coalesce(sum(e.events), 0), false into gone, more from event_log_expired(cutoff) e;
        return;
    end if;
    execute format($sql$
        select %1$I from %2$I where %3$s and %1$I < $1 and %1$I > $2 order by %1$I offset $3 - 1 limit 1
        $sql$, rule.at_column, rule.table_name, rule.due) into upto using cutoff, after_at, n;
    execute format($sql$
        select count(*) from %2$I where %3$s and %1$I < $1 and %1$I > $2 and ($3 is null or %1$I <= $3)
        $sql$, rule.at_column, rule.table_name, rule.due) into gone using cutoff, after_at, upto;
    more := upto is not null;
end
$$;

-- A procedure a job, by which pg_cron and people call it; without a cutoff it takes the rule's age, which is a setting.
create function retention_make_procedures() returns void language plpgsql set search_path = public, pg_temp as $$
declare
    job text;
begin
    for job in select r.job_name from retention_rules r loop
        execute format($sql$
            create or replace procedure %I(cutoff interval default null, batch_size int default 10000,
                dry_run boolean default false, source text default 'sql',
                inout deleted_count bigint default 0, inout job_log_id bigint default null) language plpgsql as $body$
            begin
                call public.retention_run(%L, cutoff, batch_size, dry_run, source, deleted_count, job_log_id);
            end
            $body$ $sql$, 'retention_prune_' || job, job);
    end loop;
end
$$;
-- +goose StatementEnd
revoke all on function retention_make_procedures() from public;
select retention_make_procedures();

-- +goose Down
-- +goose StatementBegin
do $$
declare
    job text;
begin
    for job in select r.job_name from retention_rules r where r.job_name not in ('trade_events', 'job_runs', 'match_runs', 'idempotency_keys', 'job_events') loop
        execute format('drop procedure if exists %I(interval, int, boolean, text, bigint, bigint)', 'retention_prune_' || job);
        delete from retention_job_log where job_name = job;
        delete from retention_rules where job_name = job;
    end loop;
end
$$;

create or replace function retention_batch(rule retention_rules, cutoff timestamptz, from_at timestamptz, n int,
                                           out gone bigint, out more boolean, out upto timestamptz)
    language plpgsql set search_path = public, pg_temp as $$
begin
    if rule.table_name = 'event_log' then
        select e.events, true into gone, more from event_log_prune(cutoff, n) e;
        gone := coalesce(gone, 0);
        more := coalesce(more, false);
        return;
    end if;
    execute format($sql$
        with page as materialized (
            select ctid as place, %1$I as at from %2$I
             where %3$s and %1$I < $1 and %1$I >= $2
             order by %1$I limit $3 for update skip locked),
        deleted as (
            delete from %2$I where ctid = any (array (select place from page)) returning 1)
        select (select count(*) from deleted), (select count(*) from page) = $3, (select max(at) from page)
        $sql$, rule.at_column, rule.table_name, rule.due)
       into gone, more, upto using cutoff, from_at, n;
end
$$;

create or replace function retention_count(rule retention_rules, cutoff timestamptz, after_at timestamptz, n int,
                                           out gone bigint, out more boolean, out upto timestamptz)
    language plpgsql set search_path = public, pg_temp as $$
begin
    if rule.table_name = 'event_log' then
        select coalesce(sum(e.events), 0), false into gone, more from event_log_expired(cutoff) e;
        return;
    end if;
    execute format($sql$
        select %1$I from %2$I where %3$s and %1$I < $1 and %1$I > $2 order by %1$I offset $3 - 1 limit 1
        $sql$, rule.at_column, rule.table_name, rule.due) into upto using cutoff, after_at, n;
    execute format($sql$
        select count(*) from %2$I where %3$s and %1$I < $1 and %1$I > $2 and ($3 is null or %1$I <= $3)
        $sql$, rule.at_column, rule.table_name, rule.due) into gone using cutoff, after_at, upto;
    more := upto is not null;
end
$$;
-- +goose StatementEnd
drop function retention_make_procedures();
drop function retention_forget_log(timestamptz, int, boolean);
drop function retention_backtest_runs(timestamptz, int, boolean);
drop function retention_walk_forwards(timestamptz, int, boolean);
drop function retention_run_plans(timestamptz, int, boolean);
drop function retention_tunes(timestamptz, int, boolean);
drop function retention_tune_trials(timestamptz, int, boolean);
drop function retention_kept_tune(tunes);
drop function retention_kept(uuid, timestamptz);
revoke update on backtest_runs, strategies from millrace_fleet;
revoke delete on admin_tokens, retention_job_log from millrace_fleet;
alter table admin_tokens drop column ended_at;
alter table api_keys drop column ended_at;
drop index backtest_runs_of_strategy, wfo_runs_of_strategy, tunes_of_strategy, retention_job_log_aged, match_runs_asked, ingest_jobs_ended,
    backtest_runs_aged, run_plans_ended, wfo_runs_ended, tunes_with_trials;
alter table tunes drop column trials_dropped_at;
revoke update on retention_rules from millrace_fleet;
alter table retention_rules drop column step, drop column past_ok, drop column past_failed, drop column past_rows;
