-- +goose Up
-- Every submission counts the open work of its workspace, and each end looks for what waits. The indexes of open rows that are for
-- this were chosen only where tables have statistics. On a new server, or one that was restored, all indexes of a table seem
-- to cost the same; each that begins with the workspace can serve what names a workspace, as the policies do, and the plan is kept
-- until Postgres collects statistics: it read all tunes of the workspace to count those that are open.
--
-- No plan is to evaluate this condition: it seems to cost more than any. An index whose predicate has it answers it without, so
-- a statement that has it reads by that index, whatever statistics there are, and a statement without it by another.
-- +goose StatementBegin
create function by_index(space uuid) returns boolean language plpgsql immutable parallel safe cost 1000000 as $$
begin
    return true;
end
$$;
-- +goose StatementEnd

drop index tunes_workspace_id_created_at_id_idx1;
create index tunes_waiting on tunes (workspace_id, created_at, id) where not admitted and status = 'queued' and wfo_id is null and by_index(workspace_id);
drop index tunes_workspace_id_created_at_idx;
create index tunes_running on tunes (workspace_id, created_at) where admitted and status in ('queued', 'running') and by_index(workspace_id);
drop index wfo_runs_workspace_id_created_at_id_idx1;
create index wfo_runs_open on wfo_runs (workspace_id, created_at, id) where status in ('pending', 'running') and by_index(workspace_id);
drop index ingest_jobs_workspace_id_idx;
create index ingest_jobs_of_workspace_open on ingest_jobs (workspace_id) where status in ('queued', 'running', 'retrying') and by_index(workspace_id);
-- So was that of lists, to find the document of an address.
drop index documents_workspace_id_created_at_id_idx;
create index documents_listed on documents (workspace_id, created_at desc, id desc) where by_index(workspace_id);

-- What only joins the queue looks its dataset up by its id, and compares the name.
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
                            where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
                           union all
                           select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)) a) end
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
                            where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
                           union all
                           select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)) a) end
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
                               where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
                              union all
                              select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)) a)
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
                 where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
                union all
                select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)) a;
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
                select from tunes t where t.workspace_id = space and not t.admitted and t.status = 'queued' and t.wfo_id is null and by_index(t.workspace_id)
                union all
                select from tunes t where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
                union all
                select from wfo_runs r where r.workspace_id = space and r.status in ('pending', 'running') and by_index(r.workspace_id)
                union all
                select from ingest_jobs i where i.workspace_id = space and i.status in ('queued', 'running', 'retrying') and by_index(i.workspace_id)
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
-- +goose StatementBegin
create or replace function join_submission(space uuid, of_route text, of_key text, wait_ms int, depth int,
    dataset uuid, name text, series text, version int,
    out joined boolean, out room int, out active int, out at timestamptz, out open int)
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    slots constant int := case when depth > 0 then current_setting('max_connections')::int else 0 end;
    said  text; -- by a function that is called for what it does
begin
    joined := false; room := 0; active := 0; at := now(); open := 0;
    said := pg_advisory_xact_lock_shared(hashtextextended('millrace change ' || space::text, 0));
    said := set_config('millrace.workspace', space::text, true);
    if of_key <> '' then
        if not pg_try_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) then
            said := current_setting('lock_timeout');
            perform set_config('lock_timeout', wait_ms::text, true);
            perform pg_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) as lock_of_idempotency_keys;
            perform set_config('lock_timeout', said, true);
        end if;
    end if;
    said := pg_advisory_xact_lock_shared(hashtextextended('millrace admission ' || space::text, 0));
    if series <> '' then -- a version of its own, which another name may mean too
        return;
    end if;
    -- As datasetQuery of package market looks it up: one dataset has the name. What deletes it waits and then sees what was inserted.
    select w.tune_cap, (
               select count(*) from (
                   select from tunes t
                    where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
                   union all
                   select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)) a)
      into room, active
      from workspaces w, datasets d
     where w.id = space and w.trials_per_day is null
       and d.id = dataset and d.workspace_id = space and coalesce(d.series, d.name) = join_submission.name and not d.superseded
       and not exists (select from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key)
       for key share of w, d;
    if not found or room > active then
        room := 0; active := 0;
        return;
    end if;
    room := room - active;
    if depth > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
        select count(*) into open from (
            select from tunes t where t.workspace_id = space and not t.admitted and t.status = 'queued' and t.wfo_id is null and by_index(t.workspace_id)
            union all
            select from tunes t where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id)
            union all
            select from wfo_runs r where r.workspace_id = space and r.status in ('pending', 'running') and by_index(r.workspace_id)
            union all
            select from ingest_jobs i where i.workspace_id = space and i.status in ('queued', 'running', 'retrying') and by_index(i.workspace_id)
             limit depth) o;
        if open + slots > depth then
            return;
        end if;
    end if;
    joined := true;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function enter_admission(space uuid, alone boolean, tune boolean, depth int, own boolean,
    out present boolean, out shared boolean, out room int, out active int, out at timestamptz,
    out most int, out open int, out sure boolean,
    out trials_limit bigint, out trials_day date, out trials_used bigint, out trials_left float8)
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
declare
    key   constant bigint := hashtextextended('millrace admission ' || space::text, 0);
    slots constant int := current_setting('max_connections');
    clock timestamp;
    cap   int;
    quota bigint;
begin
    select false, 0, 0, now(), 0, 0, false, 0, current_date, 0, 0
      into shared, room, active, at, most, open, sure, trials_limit, trials_day, trials_used, trials_left;
    select w.tune_cap, w.trials_per_day into cap, quota from workspaces w where w.id = space for key share;
    present := found;
    if not present then
        return;
    end if;
    shared := not alone and (depth < 1 or depth > slots);
    if shared and tune then
        shared := quota is null and cap <= (
            (select count(*) from tunes t
              where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id))
            + (select count(*) from wfo_runs r
                where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)));
    end if;
    if shared then
        perform pg_advisory_xact_lock_shared(key);
    else
        perform pg_advisory_xact_lock(key);
    end if;
    clock := clock_timestamp() at time zone 'utc';
    trials_day := clock::date;
    trials_left := extract(epoch from trials_day + interval '1 day' - clock);
    select now(), w.tune_cap - a.n, a.n, case when own then coalesce(w.queue_depth, depth) else depth end, coalesce(w.trials_per_day, 0),
           case when w.trials_per_day is null then 0 when w.trials_day = clock::date then w.trials_used end
      into at, room, active, most, trials_limit, trials_used
      from workspaces w,
           lateral (select (select count(*) from tunes t
                             where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null and by_index(t.workspace_id))
                           + (select count(*) from wfo_runs r
                               where r.workspace_id = space and r.admitted and r.status in ('pending', 'running') and by_index(r.workspace_id)) as n offset 0) a
     where w.id = space;
    if trials_used is null then -- not known of this day, as on the first submission after the quota was set: folds count too
        trials_used := trials_since(space, trials_day at time zone 'utc');
    end if;
    open := 0;
    if most > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
        select count(*) into open from (
            select from tunes where workspace_id = space and not admitted and status = 'queued' and wfo_id is null and by_index(workspace_id)
            union all
            select from tunes where workspace_id = space and admitted and status in ('queued', 'running') and wfo_id is null and by_index(workspace_id)
            union all
            select from wfo_runs where workspace_id = space and status in ('pending', 'running') and by_index(workspace_id)
            union all
            select from ingest_jobs where workspace_id = space and status in ('queued', 'running', 'retrying') and by_index(workspace_id)
             limit most) o;
    end if;
    sure := open >= most or open + slots <= most;
end
$$;
-- +goose StatementEnd

-- +goose Down
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
-- +goose StatementBegin
create or replace function join_submission(space uuid, of_route text, of_key text, wait_ms int, depth int,
    dataset uuid, name text, series text, version int,
    out joined boolean, out room int, out active int, out at timestamptz, out open int)
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    slots constant int := case when depth > 0 then current_setting('max_connections')::int else 0 end;
    said  text; -- by a function that is called for what it does
    meant uuid;
begin
    joined := false; room := 0; active := 0; at := now(); open := 0;
    said := pg_advisory_xact_lock_shared(hashtextextended('millrace change ' || space::text, 0));
    said := set_config('millrace.workspace', space::text, true);
    if of_key <> '' then
        if not pg_try_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) then
            said := current_setting('lock_timeout');
            perform set_config('lock_timeout', wait_ms::text, true);
            perform pg_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) as lock_of_idempotency_keys;
            perform set_config('lock_timeout', said, true);
        end if;
    end if;
    said := pg_advisory_xact_lock_shared(hashtextextended('millrace admission ' || space::text, 0));
    -- As datasetQuery of package market looks it up. What deletes it waits and then sees what was inserted.
    select d.id, w.tune_cap, (
               select count(*) from (
                   select from tunes t
                    where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                   union all
                   select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a)
      into meant, room, active
      from workspaces w, datasets d
     where w.id = space and d.workspace_id = space and w.trials_per_day is null
       and not exists (select from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key)
       and (coalesce(d.series, d.name) = join_submission.name and not d.superseded
            or coalesce(d.series, d.name) = join_submission.series and d.version = join_submission.version)
     order by coalesce(d.series, d.name) = join_submission.name desc limit 1 for key share of w, d;
    if not found or meant <> dataset or room > active then
        room := 0; active := 0;
        return;
    end if;
    room := room - active;
    if depth > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
        select count(*) into open from (
            select from tunes t where t.workspace_id = space and not t.admitted and t.status = 'queued' and t.wfo_id is null
            union all
            select from tunes t where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
            union all
            select from wfo_runs r where r.workspace_id = space and r.status in ('pending', 'running')
            union all
            select from ingest_jobs i where i.workspace_id = space and i.status in ('queued', 'running', 'retrying')
             limit depth) o;
        if open + slots > depth then
            return;
        end if;
    end if;
    joined := true;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function enter_admission(space uuid, alone boolean, tune boolean, depth int, own boolean,
    out present boolean, out shared boolean, out room int, out active int, out at timestamptz,
    out most int, out open int, out sure boolean,
    out trials_limit bigint, out trials_day date, out trials_used bigint, out trials_left float8)
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
declare
    key   constant bigint := hashtextextended('millrace admission ' || space::text, 0);
    slots constant int := current_setting('max_connections');
    clock timestamp;
    cap   int;
    quota bigint;
begin
    select false, 0, 0, now(), 0, 0, false, 0, current_date, 0, 0
      into shared, room, active, at, most, open, sure, trials_limit, trials_day, trials_used, trials_left;
    select w.tune_cap, w.trials_per_day into cap, quota from workspaces w where w.id = space for key share;
    present := found;
    if not present then
        return;
    end if;
    shared := not alone and (depth < 1 or depth > slots);
    if shared and tune then
        shared := quota is null and cap <= (
            (select count(*) from tunes t
              where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null)
            + (select count(*) from wfo_runs r
                where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')));
    end if;
    if shared then
        perform pg_advisory_xact_lock_shared(key);
    else
        perform pg_advisory_xact_lock(key);
    end if;
    clock := clock_timestamp() at time zone 'utc';
    trials_day := clock::date;
    trials_left := extract(epoch from trials_day + interval '1 day' - clock);
    select now(), w.tune_cap - a.n, a.n, case when own then coalesce(w.queue_depth, depth) else depth end, coalesce(w.trials_per_day, 0),
           case when w.trials_per_day is null then 0 when w.trials_day = clock::date then w.trials_used end
      into at, room, active, most, trials_limit, trials_used
      from workspaces w,
           lateral (select (select count(*) from tunes t
                             where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null)
                           + (select count(*) from wfo_runs r
                               where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) as n offset 0) a
     where w.id = space;
    if trials_used is null then -- not known of this day, as on the first submission after the quota was set: folds count too
        trials_used := trials_since(space, trials_day at time zone 'utc');
    end if;
    open := 0;
    if most > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
        select count(*) into open from (
            select from tunes where workspace_id = space and not admitted and status = 'queued' and wfo_id is null
            union all
            select from tunes where workspace_id = space and admitted and status in ('queued', 'running') and wfo_id is null
            union all
            select from wfo_runs where workspace_id = space and status in ('pending', 'running')
            union all
            select from ingest_jobs where workspace_id = space and status in ('queued', 'running', 'retrying')
             limit most) o;
    end if;
    sure := open >= most or open + slots <= most;
end
$$;
-- +goose StatementEnd
drop index tunes_waiting;
create index tunes_workspace_id_created_at_id_idx1 on tunes (workspace_id, created_at, id) where not admitted and status = 'queued';
drop index tunes_running;
create index tunes_workspace_id_created_at_idx on tunes (workspace_id, created_at) where admitted and status in ('queued', 'running');
drop index wfo_runs_open;
create index wfo_runs_workspace_id_created_at_id_idx1 on wfo_runs (workspace_id, created_at, id) where status in ('pending', 'running');
drop index ingest_jobs_of_workspace_open;
create index ingest_jobs_workspace_id_idx on ingest_jobs (workspace_id) where status in ('queued', 'running', 'retrying');
drop index documents_listed;
create index documents_workspace_id_created_at_id_idx on documents (workspace_id, created_at desc, id desc);
drop function by_index;
