-- +goose Up
-- What only joins the queue looks its dataset up by its id, and compares the name.
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
                    where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
                   union all
                   select from wfo_runs r where r.workspace_id = space and r.admitted and r.status in ('pending', 'running')) a)
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

-- +goose Down
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
