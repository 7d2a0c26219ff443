-- +goose Up
-- What only joins a queue is submitted in one round trip: join_submission returned whether it joins, and the rows followed. This
-- fails where it does not, so that the rows can be sent with it, and returns nothing but the transaction's time. It joins what
-- join_submission joins, but for two things: a workspace in which nothing is running, as with a cap of none, as the priority of the
-- job depends on that, and a dataset that is named by its version.
-- +goose StatementBegin
create function queue_submission(space uuid, of_route text, of_key text, wait_ms int, depth int, dataset uuid, name text)
returns timestamptz language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    said   text; -- by a function that is called for what it does
    room   int;
    active int;
    open   int;
begin
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
       and d.id = dataset and d.workspace_id = space and coalesce(d.series, d.name) = queue_submission.name and not d.superseded
       and not exists (select from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key)
       for key share of w, d;
    if not found or room > active or active = 0 then
        raise exception 'the submission does not only join the queue' using errcode = 'MR004';
    end if;
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
        if open + current_setting('max_connections')::int > depth then
            raise exception 'the submission does not only join the queue' using errcode = 'MR004';
        end if;
    end if;
    return now();
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function queue_submission;
