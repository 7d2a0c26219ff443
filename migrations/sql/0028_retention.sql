-- +goose Up
-- What may be deleted, and when. One row a job: the statements are made from it, so that what a dry
-- run counts and what a run deletes cannot drift apart.
create table retention_rules (
    job_name   text primary key,
    table_name text not null,
    at_column  text not null,     -- indexed; the run walks it from the oldest on
    due        text not null,     -- which rows older than the cutoff may go
    parts      text[] not null default '{true}', -- walked one after the other, where an index wants it
    age        interval not null, -- default cutoff
    schedule   text not null,     -- cron, UTC
    created_at timestamptz not null default clock_timestamp() -- since when a run is missed
);
insert into retention_rules (job_name, table_name, at_column, due, parts, age, schedule) values
    -- Orders are kept for ever, and so is what someone pinned.
    ('trade_events', 'trade_events', 'created_at', $$event_type like 'RUN\_%' and not pinned$$, default, '90 days', '15 3 * * *'),
    -- Ended River jobs. River's own cleaner takes the completed ones after a day; failures stay to be
    -- looked at until this job takes them, and it is the backstop where that cleaner does not run.
    ('job_runs', 'river_job', 'finalized_at', 'true',
     array[$$state = 'completed'$$, $$state = 'cancelled'$$, $$state = 'discarded'$$], '30 days', '20 3 * * *'),
    -- $1 is the cutoff: a gap that was resolved only lately stays, however old it is.
    ('match_runs', 'match_runs', 'created_at', $$coverage_status = 'resolved' and resolved_at < $1$$, default, '180 days', '25 3 * * *'),
    -- The age counts from the key's end.
    ('idempotency_keys', 'idempotency_keys', 'expires_at', 'true', default, '0', '30 3 * * *'),
    -- By whole partitions: see event_log_prune.
    ('job_events', 'event_log', 'at', 'true', default, '7 days', '35 3 * * *');
grant select on retention_rules to millrace_app, millrace_fleet;
grant update on trade_events to millrace_fleet; -- to lock what is deleted, which asks for this right

create table retention_job_log (
    id           bigint generated always as identity primary key,
    job_name     text not null references retention_rules,
    source       text not null check (source in ('pg_cron', 'river', 'admin', 'sql')),
    -- The day whose scheduled run this is. A day that one scheduler has taken, no other takes again.
    slot         date,
    queued_at    timestamptz not null default clock_timestamp(),
    started_at   timestamptz, -- null while an admin's request waits for a worker
    finished_at  timestamptz,
    dry_run      boolean not null,
    age          interval not null,
    batch_size   int not null,
    cutoff_ts    timestamptz,
    rows_deleted bigint not null default 0, -- of a dry run: rows that would have been
    batches      int not null default 0,
    longest_ms   float8 not null default 0, -- the longest transaction of the run
    ok           boolean,
    error        text,
    river_job_id bigint,
    idempotency_key text unique,
    fingerprint  bytea,
    response     bytea,
    check ((finished_at is null) = (ok is null))
);
create index retention_job_log_open on retention_job_log (job_name) where finished_at is null;
create unique index retention_job_log_slot on retention_job_log (job_name, slot) where slot is not null and ok is distinct from false;
create index retention_job_log_of on retention_job_log (job_name, id desc);
grant select, insert, update on retention_job_log to millrace_fleet;

-- The session that runs a job holds this lock, so that a run whose session died is told from one at
-- work.
create function retention_lock(job text) returns bigint language sql immutable parallel safe
    return hashtextextended('millrace retention ' || job, 0);

-- +goose StatementBegin
create function retention_event(entry bigint, step text) returns void language plpgsql
    set search_path = public, pg_temp as $$
begin
    insert into event_log (workspace_id, topic, type, entity_id, payload)
    select null, 'retention', 'retention.prune.' || step, l.id,
           jsonb_build_object('job_name', l.job_name, 'source', l.source, 'dry_run', l.dry_run,
                              'cutoff_ts', l.cutoff_ts, 'rows_deleted', l.rows_deleted, 'ok', l.ok, 'error', l.error)
      from retention_job_log l where l.id = entry;
end
$$;

create function retention_end(entry bigint, failure text) returns void language plpgsql
    set search_path = public, pg_temp as $$
begin
    update retention_job_log
       set finished_at = clock_timestamp(), ok = failure is null, error = left(failure, 2000)
     where id = entry and finished_at is null;
    if found then
        perform retention_event(entry, case when failure is null then 'completed' else 'failed' end);
    end if;
end
$$;

-- Whether another session runs the job.
create function retention_running(job text) returns boolean language sql stable set search_path = public, pg_temp as $$
    select exists (select from pg_locks l join pg_database d on d.oid = l.database
                    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.pid <> pg_backend_pid()
                      and d.datname = current_database()
                      and l.classid::bigint << 32 | l.objid::bigint = retention_lock(job))
$$;

-- Ends the log's entries of runs that nobody runs any more: begun, but by a session that is gone; or
-- asked for, but the River job has ended without it.
create function retention_reap(job text) returns void language plpgsql
    set search_path = public, pg_temp as $$
declare
    running boolean := retention_running(job);
    entry record;
begin
    for entry in select * from retention_job_log l where l.job_name = job and l.finished_at is null loop
        if entry.started_at is not null and not running then
            perform retention_end(entry.id, 'interrupted: the session that ran it is gone');
        elsif entry.started_at is null
              and not exists (select from river_job j where j.id = entry.river_job_id and j.finalized_at is null) then
            perform retention_end(entry.id, 'never begun: its River job has ended');
        end if;
    end loop;
end
$$;

-- Begins a run and returns its entry; null when there is nothing to do, because the day's scheduled
-- run was made or is another scheduler's.
create function retention_begin(job text, age interval, batch_size int, dry_run boolean, source text, entry bigint)
    returns bigint language plpgsql set search_path = public, pg_temp as $$
declare
    day date := case when source in ('pg_cron', 'river') then (clock_timestamp() at time zone 'utc')::date end;
begin
    if entry is not null then
        -- A run that is taken up again adds to what it deleted before; a count begins anew.
        update retention_job_log l
           set started_at = clock_timestamp(), cutoff_ts = clock_timestamp() - l.age,
               rows_deleted = case when l.dry_run then 0 else l.rows_deleted end
         where l.id = entry and l.job_name = job and l.finished_at is null;
        if not found then
            return null; -- the attempt before this one ended it
        end if;
    else
        perform retention_reap(job);
        insert into retention_job_log (job_name, source, slot, started_at, dry_run, age, batch_size, cutoff_ts)
        values (job, source, day, clock_timestamp(), dry_run, age, batch_size, clock_timestamp() - age)
        on conflict (job_name, slot) where slot is not null and ok is distinct from false do nothing
        returning id into entry;
    end if;
    if entry is not null then
        perform retention_event(entry, 'started');
    end if;
    return entry;
end
$$;

-- One batch: the oldest rows that are due, from a time on. It says how many it deleted, the time it
-- came to, and whether there may be more. Rows that someone holds are left for the next run, and what
-- is not due any more when its lock is had is not deleted.
create function retention_batch(rule retention_rules, cutoff timestamptz, from_at timestamptz, n int,
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

-- One batch of a dry run: as retention_batch, but it counts. It goes on behind the last time it came
-- to, so it takes rows of one time together.
create function retention_count(rule retention_rules, cutoff timestamptz, after_at timestamptz, n int,
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

-- The name under which pg_cron knows a job.
create function retention_cron_name(job text) returns text language sql immutable parallel safe
    return 'millrace_retention_' || job;

-- Whether pg_cron can run the schedule: it is in this database, its launcher works this database (a
-- restored or renamed one keeps the extension, but not the launcher), and its clock is UTC.
create function retention_cron_usable() returns boolean language sql stable
    set search_path = pg_catalog, pg_temp as $$
    select exists (select from pg_extension where extname = 'pg_cron')
       and current_setting('cron.database_name', true) = current_database()
       and coalesce(current_setting('cron.timezone', true), 'GMT') in ('GMT', 'UTC', 'Etc/UTC')
       and coalesce(current_setting('cron.launch_active_jobs', true), 'on') = 'on'
$$;

-- Who runs the schedule now: pg_cron once every job is in its table and active there, else River.
-- Both ask at every scheduled run, so the answer can change without a run being made twice.
create function retention_scheduler() returns text language plpgsql stable security definer
    set search_path = public, pg_temp as $$
declare
    active int;
begin
    if not retention_cron_usable() then
        return 'river';
    end if;
    execute $q$select count(distinct r.job_name) from retention_rules r
                 join cron.job j on j.jobname = retention_cron_name(r.job_name)
                where j.active and j.database = current_database() and j.schedule = r.schedule$q$ into active;
    return case when active = (select count(*) from retention_rules) then 'pg_cron' else 'river' end;
exception when insufficient_privilege or undefined_table then
    return 'river';
end
$$;

-- Brings pg_cron's table to the rules where it can run them, and else takes our jobs out of it. It
-- says who runs the schedule from now on. Repeating it changes nothing.
create function retention_reschedule() returns text language plpgsql security definer
    set search_path = public, pg_temp as $$
declare
    rule record;
    known boolean;
begin
    if not exists (select from pg_extension where extname = 'pg_cron') then
        return 'river';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('millrace retention_reschedule', 0));
    for rule in select r.*, format('call public.%I(source => ''pg_cron'')', 'retention_prune_' || r.job_name) as command
                  from retention_rules r loop
        execute 'select exists (select from cron.job where jobname = $1 and schedule = $2 and command = $3 and active and database = current_database())'
           into known using retention_cron_name(rule.job_name), rule.schedule, rule.command;
        continue when known and retention_cron_usable();
        -- Scheduling under the same name would leave one that was switched off as it is.
        execute 'select count(cron.unschedule(jobid)) from cron.job where jobname = $1' using retention_cron_name(rule.job_name);
        if retention_cron_usable() then
            execute 'select cron.schedule($1, $2, $3)' using retention_cron_name(rule.job_name), rule.schedule, rule.command;
        end if;
    end loop;
    -- pg_cron keeps its history for ever.
    execute 'delete from cron.job_run_details where end_time < clock_timestamp() - interval ''30 days''
                and jobid in (select jobid from cron.job where jobname like ''millrace\_retention\_%'')';
    return retention_scheduler();
exception when insufficient_privilege or undefined_table or undefined_function then
    return 'river'; -- pg_cron is there, but not for us
end
$$;

-- Runs a job, batch by batch, each a transaction of its own. Called by name through the procedures
-- below it, or by the worker with an entry that an admin's request made. A batch is cut so that it
-- takes about a tenth of a second: the event feed passes no event on while an older transaction writes.
create procedure retention_run(job text, age interval, batch_size int, dry_run boolean, source text,
                               inout deleted_count bigint, inout job_log_id bigint)
    language plpgsql as $$
declare
    rule public.retention_rules;
    due text;
    part int := 1;
    cutoff timestamptz;
    at timestamptz := '-infinity';
    size int := least(batch_size, 1000);
    gone bigint;
    more boolean;
    upto timestamptz;
    began timestamptz;
    took float8;
    failure text;
    code text;
    patience int := 0;
begin
    set local role millrace_fleet;
    select * into rule from public.retention_rules r where r.job_name = job;
    if rule is null then
        raise exception 'there is no retention job %', job using errcode = '22023';
    end if;
    age := coalesce(age, rule.age);
    due := rule.due;
    if age < interval '0' or batch_size is null or batch_size not between 100 and 100000 or dry_run is null then
        raise exception 'cutoff must not be negative, batch_size must be from 100 to 100000 and dry_run true or false'
            using errcode = '22023';
    end if;
    deleted_count := 0;
    if source in ('pg_cron', 'river') and source <> public.retention_scheduler() then
        job_log_id := null;
        return;
    end if;
    while not pg_try_advisory_lock(public.retention_lock(job)) loop
        -- A scheduled run waits for the one that an admin asked for; nobody else does.
        if source <> 'pg_cron' or patience = 1200 then
            raise exception 'retention job % is already running', job using errcode = '55006';
        end if;
        patience := patience + 1;
        commit;
        perform pg_sleep(0.5);
        commit;
        set local role millrace_fleet;
    end loop;
    begin
        job_log_id := public.retention_begin(job, age, batch_size, dry_run, source, job_log_id);
    exception when others then
        perform pg_advisory_unlock(public.retention_lock(job));
        raise;
    end;
    commit;
    patience := 0;
    if job_log_id is null then
        perform pg_advisory_unlock(public.retention_lock(job));
        return;
    end if;
    set local role millrace_fleet;
    select l.cutoff_ts, l.dry_run, l.rows_deleted into cutoff, dry_run, deleted_count from public.retention_job_log l where l.id = job_log_id;
    loop
        set local role millrace_fleet;
        set local lock_timeout = '500ms';
        failure := null;
        rule.due := due || ' and ' || rule.parts[part];
        began := clock_timestamp();
        begin
            if dry_run then
                select c.gone, c.more, c.upto into gone, more, upto from public.retention_count(rule, cutoff, at, size) c;
            else
                select b.gone, b.more, b.upto into gone, more, upto from public.retention_batch(rule, cutoff, at, size) b;
            end if;
            deleted_count := deleted_count + gone;
            update public.retention_job_log l
               set rows_deleted = deleted_count, batches = l.batches + 1 where l.id = job_log_id;
        exception when query_canceled or others then
            get stacked diagnostics failure = message_text, code = returned_sqlstate;
        end;
        commit;
        took := extract(epoch from clock_timestamp() - began) * 1000;
        if code = '55P03' and failure is not null and patience < 20 then
            patience := patience + 1; -- a lock on the table, which is soon given back
            perform pg_sleep(0.5);
            commit;
            continue;
        end if;
        exit when failure is not null;
        set local role millrace_fleet;
        update public.retention_job_log l set longest_ms = greatest(l.longest_ms, took) where l.id = job_log_id;
        commit;
        at := coalesce(upto, at);
        if not more then
            part := part + 1;
            at := '-infinity';
            exit when part > cardinality(rule.parts);
        end if;
        size := case when took > 150 then greatest(100, size / 2)
                     when took < 75 then least(batch_size, size * 2) else size end;
        -- Half of the time belongs to the others.
        perform pg_sleep(least(took, 500) / 1000);
        commit;
    end loop;
    if code = '57014' and failure is not null then
        -- Told to stop, not failed: the entry stays open for the attempt that takes it up again.
        perform pg_advisory_unlock(public.retention_lock(job));
        raise exception '%', failure using errcode = code;
    end if;
    set local role millrace_fleet;
    perform public.retention_end(job_log_id, failure);
    commit;
    perform pg_advisory_unlock(public.retention_lock(job));
    if failure is not null then
        raise exception '%', failure using errcode = code;
    end if;
end
$$;

create procedure retention_prune_trade_events(cutoff interval default '90 days', batch_size int default 10000,
    dry_run boolean default false, source text default 'sql',
    inout deleted_count bigint default 0, inout job_log_id bigint default null) language plpgsql as $$
begin
    call public.retention_run('trade_events', cutoff, batch_size, dry_run, source, deleted_count, job_log_id);
end
$$;
create procedure retention_prune_job_runs(cutoff interval default '30 days', batch_size int default 10000,
    dry_run boolean default false, source text default 'sql',
    inout deleted_count bigint default 0, inout job_log_id bigint default null) language plpgsql as $$
begin
    call public.retention_run('job_runs', cutoff, batch_size, dry_run, source, deleted_count, job_log_id);
end
$$;
create procedure retention_prune_match_runs(cutoff interval default '180 days', batch_size int default 10000,
    dry_run boolean default false, source text default 'sql',
    inout deleted_count bigint default 0, inout job_log_id bigint default null) language plpgsql as $$
begin
    call public.retention_run('match_runs', cutoff, batch_size, dry_run, source, deleted_count, job_log_id);
end
$$;
create procedure retention_prune_idempotency_keys(cutoff interval default '0', batch_size int default 10000,
    dry_run boolean default false, source text default 'sql',
    inout deleted_count bigint default 0, inout job_log_id bigint default null) language plpgsql as $$
begin
    call public.retention_run('idempotency_keys', cutoff, batch_size, dry_run, source, deleted_count, job_log_id);
end
$$;
create procedure retention_prune_job_events(cutoff interval default '7 days', batch_size int default 10000,
    dry_run boolean default false, source text default 'sql',
    inout deleted_count bigint default 0, inout job_log_id bigint default null) language plpgsql as $$
begin
    call public.retention_run('job_events', cutoff, batch_size, dry_run, source, deleted_count, job_log_id);
end
$$;
-- +goose StatementEnd

revoke all on function retention_scheduler(), retention_reschedule() from public;
grant execute on function retention_scheduler(), retention_reschedule() to millrace_app, millrace_fleet;

-- +goose Down
drop procedure retention_prune_trade_events(interval, int, boolean, text, bigint, bigint);
drop procedure retention_prune_job_runs(interval, int, boolean, text, bigint, bigint);
drop procedure retention_prune_match_runs(interval, int, boolean, text, bigint, bigint);
drop procedure retention_prune_idempotency_keys(interval, int, boolean, text, bigint, bigint);
drop procedure retention_prune_job_events(interval, int, boolean, text, bigint, bigint);
drop procedure retention_run(text, interval, int, boolean, text, bigint, bigint);
drop function retention_reschedule();
drop function retention_scheduler();
drop function retention_cron_usable();
drop function retention_cron_name(text);
drop function retention_count(retention_rules, timestamptz, timestamptz, int);
drop function retention_batch(retention_rules, timestamptz, timestamptz, int);
drop function retention_begin(text, interval, int, boolean, text, bigint);
drop function retention_reap(text);
drop function retention_end(bigint, text);
drop function retention_event(bigint, text);
drop function retention_running(text);
drop function retention_lock(text);
drop table retention_job_log;
revoke update on trade_events from millrace_fleet;
drop table retention_rules;
