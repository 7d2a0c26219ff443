-- +goose Up
-- Each tune was written to two indexes by time, one of all and one of those that no walk-forward has. Lists read the second.
-- All that reads the first counts the trials of a day, where they are not counted yet. Folds have an index of their own for
-- that, which is narrower, and no tune is written to two. The count is planned for any day, and so without what would read
-- all tunes.
create index tunes_folds_created on tunes (workspace_id, created_at) where wfo_id is not null;

create function trials_since(space uuid, since timestamptz) returns bigint language sql stable set enable_seqscan = off return
    (select coalesce(sum(t.n_trials), 0) from tunes t where t.workspace_id = space and t.created_at >= since and t.wfo_id is null)
    + (select coalesce(sum(t.n_trials), 0) from tunes t where t.workspace_id = space and t.created_at >= since and t.wfo_id is not null);

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
drop index tunes_workspace_id_created_at_id_idx;

-- +goose Down
create index tunes_workspace_id_created_at_id_idx on tunes (workspace_id, created_at desc, id desc);
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
        select coalesce(sum(t.n_trials), 0) into trials_used from tunes t
         where t.workspace_id = space and t.created_at >= trials_day at time zone 'utc';
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
drop function trials_since(uuid, timestamptz);
drop index tunes_folds_created;
