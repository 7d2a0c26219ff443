-- +goose Up
-- A submission has one row in each table, and its triggers and its admission took as long as those of many rows.
--
-- One job, or one tune, is written as it is; only more are grouped.
-- +goose StatementBegin
create or replace function event_log_from_river_insert() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(n.args ->> 'workspace_id') = 36 then (n.args ->> 'workspace_id')::uuid end, 'jobs', 'job.' || n.state, array[n.id],
           jsonb_build_object('kind', n.kind, 'queue', n.queue, 'attempt', n.attempt)
      from new_rows n where (select count(*) from new_rows) = 1;
    if found then
        return null;
    end if;
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, array_agg(id),
           jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt)
      from (select n.id, n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt,
                   (row_number() over () - 1) / 200 as part
              from new_rows n) changed
     group by workspace, state, kind, queue, attempt, part;
    return null;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function counter_deltas_from_status() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    case tg_op
    when 'INSERT' then
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, 1 from new_rows where (select count(*) from new_rows) = 1;
        if found then
            return null;
        end if;
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, count(*) from new_rows group by 1, 3;
    when 'DELETE' then
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, -count(*) from old_rows group by 1, 3;
    else
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, sum(n)
          from (select workspace_id, status, 1 from new_rows
                union all
                select workspace_id, status, -1 from old_rows) change (workspace_id, status, n)
         group by 1, 3 having sum(n) <> 0;
    end case;
    return null;
end
$$;
-- +goose StatementEnd

-- A statement within the function costs as much as what it reads. The workspace is read together with what is running of it
-- and only where nobody has the key, and the dataset together with what is running once the admission is entered.
-- +goose StatementBegin
create or replace function open_submission(space uuid, fleet boolean, of_route text, of_key text, print bytea, wait_ms int,
    enters boolean, alone boolean, tune boolean, depth int, script uuid,
    sets uuid[], names text[], series text[], versions int[],
    out claimed boolean, out fingerprint bytea, out status int, out location text, out body bytea,
    out present boolean, out shared boolean, out room int, out active int, out at timestamptz,
    out most int, out open int, out sure boolean,
    out trials_limit bigint, out trials_day date, out trials_used bigint, out trials_left float8,
    out script_there boolean, out script_refusal text, out sets_gone int, out sets_moved int)
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    nil       constant uuid := '00000000-0000-0000-0000-000000000000';
    admission constant bigint := hashtextextended('millrace admission ' || space::text, 0);
    said      text; -- by a function that is called for what it does
    expired   boolean;
    slots     int;
    cap       int;
    quota     bigint;
    clock     timestamp;
    meant     uuid;
    fresh     boolean := false; -- nobody has the key, and the workspace is there
    counted   boolean := false; -- together with the dataset
begin
    present := false; shared := false; sure := false; script_there := false;
    room := 0; active := 0; most := 0; open := 0; sets_gone := 0; sets_moved := 0;
    trials_limit := 0; trials_used := 0; trials_left := 0; trials_day := current_date; at := now();
    if space <> nil then
        said := pg_advisory_xact_lock_shared(hashtextextended('millrace change ' || space::text, 0));
    end if;
    if not fleet then
        said := set_config('millrace.workspace', space::text, true);
    end if;
    claimed := true;
    if of_key <> '' then
        if not pg_try_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) then
            said := current_setting('lock_timeout');
            perform set_config('lock_timeout', wait_ms::text, true);
            perform pg_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) as lock_of_idempotency_keys;
            perform set_config('lock_timeout', said, true);
        end if;
    end if;
    if not fleet then
        if enters then
            select w.tune_cap, w.trials_per_day, case when tune then (
                       select count(*) from (
                           select from tunes t
                            where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                           union all
                           select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a) end
              into cap, quota, active
              from workspaces w
             where w.id = space and not exists (select from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key)
               for key share of w;
            present := found;
        else
            perform from workspaces w
             where w.id = space and not exists (select from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key);
        end if;
        fresh := found;
    end if;
    if not fresh then -- the key was claimed before, or the work is the fleet's, or the workspace is not there
        active := 0;
        if of_key <> '' then
            select k.fingerprint, coalesce(k.status, 0), coalesce(k.location, ''), k.body, k.expires_at < now()
              into fingerprint, status, location, body, expired
              from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key;
            claimed := not found or expired;
            if expired then
                delete from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key and k.expires_at < now();
            end if;
        end if;
        if claimed and enters then
            select w.tune_cap, w.trials_per_day, case when tune then (
                       select count(*) from (
                           select from tunes t
                            where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                           union all
                           select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a) end
              into cap, quota, active from workspaces w where w.id = space for key share of w;
            present := found;
        elsif not fleet then
            perform from workspaces w where w.id = space;
        end if;
        if not fleet and not found then
            raise exception 'workspace % is not there', space using errcode = 'MR002';
        end if;
        if not claimed then
            return;
        end if;
    end if;
    if present then -- and enters
        slots := case when depth > 0 then current_setting('max_connections')::int else 0 end;
        shared := not alone and (depth < 1 or depth > slots);
        if shared and tune then
            shared := quota is null and cap <= active;
        end if;
        if shared then
            said := pg_advisory_xact_lock_shared(admission);
        else
            said := pg_advisory_xact_lock(admission);
        end if;
        -- The row is as it was read: what changes its cap or its quota waits for the first lock. Not so what counts trials.
        if cardinality(sets) = 1 and names[1] is not null then -- as below, in the statement that counts
            select d.id, (select count(*) from (
                              select from tunes t
                               where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                              union all
                              select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a)
              into meant, active from datasets d
             where d.workspace_id = space
               and (coalesce(d.series, d.name) = open_submission.names[1] and not d.superseded
                    or coalesce(d.series, d.name) = open_submission.series[1] and d.version = open_submission.versions[1])
             order by coalesce(d.series, d.name) = open_submission.names[1] desc limit 1 for key share of d;
            counted := found;
        end if;
        if not counted then
            select count(*) into active from (
                select from tunes t
                 where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                union all
                select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a;
        end if;
        room := cap - active;
        if quota is not null then
            clock := clock_timestamp() at time zone 'utc';
            trials_day := clock::date;
            trials_left := extract(epoch from trials_day + interval '1 day' - clock);
            select w.trials_per_day, case when w.trials_day = clock::date then w.trials_used end
              into trials_limit, trials_used from workspaces w where w.id = space;
            if trials_used is null then -- not known of this day, as on the first submission after the quota was set: folds count too
                trials_used := trials_since(space, trials_day at time zone 'utc');
            end if;
        end if;
        most := depth;
        if most > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
            select count(*) into open from (
                select from tunes t where t.workspace_id = space and not t.admitted and t.status = 'queued' and t.wfo_id is null
                union all
                select from tunes t where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                union all
                select from wfo_runs r where r.workspace_id = space and r.status in ('pending', 'running')
                union all
                select from ingest_jobs i where i.workspace_id = space and i.status in ('queued', 'running', 'retrying')
                 limit most) o;
        end if;
        sure := open >= most or open + slots <= most;
    end if;
    if script is not null then -- what deletes it, or ends its examination, waits and then sees what was inserted
        select case when s.status = 'refused' then coalesce(s.report -> 'examination' ->> 'refusal', '') end into script_refusal
          from strategies s where s.workspace_id = space and s.id = script and s.erased_at is null for share;
        script_there := found;
    end if;
    if cardinality(sets) = 1 then -- what deletes it waits and then sees what was inserted
        if names[1] is not null then -- as datasetQuery of package market looks it up
            if not counted then
                select d.id into meant from datasets d
                 where d.workspace_id = space
                   and (coalesce(d.series, d.name) = open_submission.names[1] and not d.superseded
                        or coalesce(d.series, d.name) = open_submission.series[1] and d.version = open_submission.versions[1])
                 order by coalesce(d.series, d.name) = open_submission.names[1] desc limit 1 for key share;
            end if;
            if meant is distinct from sets[1] then
                sets_moved := 1;
            end if;
        end if;
        if meant is distinct from sets[1] then
            perform from datasets d where d.workspace_id = space and d.id = sets[1] for key share;
            if not found then
                sets_gone := 1;
            end if;
        end if;
    elsif sets is not null then
        perform from datasets d where d.workspace_id = space and d.id = any(sets) order by d.id for key share;
        select count(distinct named) into sets_gone from unnest(sets) named
         where not exists (select from datasets d where d.workspace_id = space and d.id = named);
        if names is not null then -- each name that is not null means the dataset at its place
            select count(*) into sets_moved from unnest(sets, names, series, versions) n (id, name, series, version)
             where n.name is not null and n.id is distinct from (
                   select d.id from datasets d
                    where d.workspace_id = space
                      and (coalesce(d.series, d.name) = n.name and not d.superseded or coalesce(d.series, d.name) = n.series and d.version = n.version)
                    order by coalesce(d.series, d.name) = n.name desc limit 1);
        end if;
    end if;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function event_log_from_river_insert() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, array_agg(id),
           jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt)
      from (select n.id, n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt,
                   (row_number() over () - 1) / 200 as part
              from new_rows n) changed
     group by workspace, state, kind, queue, attempt, part;
    return null;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function counter_deltas_from_status() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    case tg_op
    when 'INSERT' then
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, count(*) from new_rows group by 1, 3;
    when 'DELETE' then
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, -count(*) from old_rows group by 1, 3;
    else
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, sum(n)
          from (select workspace_id, status, 1 from new_rows
                union all
                select workspace_id, status, -1 from old_rows) change (workspace_id, status, n)
         group by 1, 3 having sum(n) <> 0;
    end case;
    return null;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function open_submission(space uuid, fleet boolean, of_route text, of_key text, print bytea, wait_ms int,
    enters boolean, alone boolean, tune boolean, depth int, script uuid,
    sets uuid[], names text[], series text[], versions int[],
    out claimed boolean, out fingerprint bytea, out status int, out location text, out body bytea,
    out present boolean, out shared boolean, out room int, out active int, out at timestamptz,
    out most int, out open int, out sure boolean,
    out trials_limit bigint, out trials_day date, out trials_used bigint, out trials_left float8,
    out script_there boolean, out script_refusal text, out sets_gone int, out sets_moved int)
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    nil       constant uuid := '00000000-0000-0000-0000-000000000000';
    admission constant bigint := hashtextextended('millrace admission ' || space::text, 0);
    said      text; -- by a function that is called for what it does
    expired   boolean;
    slots     int;
    cap       int;
    quota     bigint;
    clock     timestamp;
    meant     uuid;
begin
    present := false; shared := false; sure := false; script_there := false;
    room := 0; active := 0; most := 0; open := 0; sets_gone := 0; sets_moved := 0;
    trials_limit := 0; trials_used := 0; trials_left := 0; trials_day := current_date; at := now();
    if space <> nil then
        said := pg_advisory_xact_lock_shared(hashtextextended('millrace change ' || space::text, 0));
    end if;
    if not fleet then
        said := set_config('millrace.workspace', space::text, true);
    end if;
    claimed := true;
    if of_key <> '' then
        if not pg_try_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) then
            said := current_setting('lock_timeout');
            perform set_config('lock_timeout', wait_ms::text, true);
            perform pg_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) as lock_of_idempotency_keys;
            perform set_config('lock_timeout', said, true);
        end if;
        select k.fingerprint, coalesce(k.status, 0), coalesce(k.location, ''), k.body, k.expires_at < now()
          into fingerprint, status, location, body, expired
          from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key;
        claimed := not found or expired;
        if expired then
            delete from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key and k.expires_at < now();
        end if;
    end if;
    if claimed and enters then
        select w.tune_cap, w.trials_per_day into cap, quota from workspaces w where w.id = space for key share;
        present := found;
    elsif not fleet then
        perform from workspaces w where w.id = space;
    end if;
    if not fleet and not found then
        raise exception 'workspace % is not there', space using errcode = 'MR002';
    end if;
    if not claimed then
        return;
    end if;
    if present then -- and enters
        slots := case when depth > 0 then current_setting('max_connections')::int else 0 end;
        shared := not alone and (depth < 1 or depth > slots);
        if shared and tune then
            select quota is null and cap <= count(*) into shared from (
                select from tunes t
                 where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                union all
                select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a;
        end if;
        if shared then
            said := pg_advisory_xact_lock_shared(admission);
        else
            said := pg_advisory_xact_lock(admission);
        end if;
        -- The row is as it was read: what changes its cap or its quota waits for the first lock. Not so what counts trials.
        select count(*) into active from (
            select from tunes t
             where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
            union all
            select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a;
        room := cap - active;
        if quota is not null then
            clock := clock_timestamp() at time zone 'utc';
            trials_day := clock::date;
            trials_left := extract(epoch from trials_day + interval '1 day' - clock);
            select w.trials_per_day, case when w.trials_day = clock::date then w.trials_used end
              into trials_limit, trials_used from workspaces w where w.id = space;
            if trials_used is null then -- not known of this day, as on the first submission after the quota was set: folds count too
                trials_used := trials_since(space, trials_day at time zone 'utc');
            end if;
        end if;
        most := depth;
        if most > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
            select count(*) into open from (
                select from tunes t where t.workspace_id = space and not t.admitted and t.status = 'queued' and t.wfo_id is null
                union all
                select from tunes t where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                union all
                select from wfo_runs r where r.workspace_id = space and r.status in ('pending', 'running')
                union all
                select from ingest_jobs i where i.workspace_id = space and i.status in ('queued', 'running', 'retrying')
                 limit most) o;
        end if;
        sure := open >= most or open + slots <= most;
    end if;
    if script is not null then -- what deletes it, or ends its examination, waits and then sees what was inserted
        select case when s.status = 'refused' then coalesce(s.report -> 'examination' ->> 'refusal', '') end into script_refusal
          from strategies s where s.workspace_id = space and s.id = script and s.erased_at is null for share;
        script_there := found;
    end if;
    if cardinality(sets) = 1 then -- what deletes it waits and then sees what was inserted
        if names[1] is not null then -- as datasetQuery of package market looks it up
            select d.id into meant from datasets d
             where d.workspace_id = space
               and (coalesce(d.series, d.name) = open_submission.names[1] and not d.superseded
                    or coalesce(d.series, d.name) = open_submission.series[1] and d.version = open_submission.versions[1])
             order by coalesce(d.series, d.name) = open_submission.names[1] desc limit 1 for key share;
            if meant is distinct from sets[1] then
                sets_moved := 1;
            end if;
        end if;
        if meant is distinct from sets[1] then
            perform from datasets d where d.workspace_id = space and d.id = sets[1] for key share;
            if not found then
                sets_gone := 1;
            end if;
        end if;
    elsif sets is not null then
        perform from datasets d where d.workspace_id = space and d.id = any(sets) order by d.id for key share;
        select count(distinct named) into sets_gone from unnest(sets) named
         where not exists (select from datasets d where d.workspace_id = space and d.id = named);
        if names is not null then -- each name that is not null means the dataset at its place
            select count(*) into sets_moved from unnest(sets, names, series, versions) n (id, name, series, version)
             where n.name is not null and n.id is distinct from (
                   select d.id from datasets d
                    where d.workspace_id = space
                      and (coalesce(d.series, d.name) = n.name and not d.superseded or coalesce(d.series, d.name) = n.series and d.version = n.version)
                    order by coalesce(d.series, d.name) = n.name desc limit 1);
        end if;
    end if;
end
$$;
-- +goose StatementEnd
