-- +goose Up
-- A submission began with eleven statements. Each costs a message of its own, and their plans are looked up one by
-- one: what they do is a function now, one statement, whose steps are the same and in the same order. Their plans are
-- kept: looking for a better one each time, as Postgres does for arrays, takes longer than any of them.

-- Enters a workspace's admission, see entry of package store. In its steps: a share of the workspace's row, which
-- inserts take anyway; then the admission lock, shared or alone; then what is counted, by statements of their own, so
-- that they see what was committed before the lock was given.
-- +goose StatementBegin
create function enter_admission(space uuid, alone boolean, tune boolean, depth int, own boolean,
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

-- Begins a submission, see Submit of package store, in a transaction that has its role: the lock that a change of the
-- workspace waits for, the workspace, the claim of the key, what is stored under a key that was claimed before, the
-- admission where the submission enters, and what its work names, held and still meant by its names. A submission without a key claims none; the nil UUID
-- is the fleet's. Nothing comes after a key that was claimed before.
create function begin_submission(space uuid, fleet boolean, of_route text, of_key text, print bytea, wait_ms int,
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
    nil    constant uuid := '00000000-0000-0000-0000-000000000000';
    waited text;
begin
    select false, false, 0, 0, now(), 0, 0, false, 0, current_date, 0, 0, false, 0, 0
      into present, shared, room, active, at, most, open, sure, trials_limit, trials_day, trials_used, trials_left, script_there, sets_gone, sets_moved;
    if space <> nil then
        perform pg_advisory_xact_lock_shared(hashtextextended('millrace change ' || space::text, 0));
    end if;
    if not fleet then
        perform enter_workspace(space);
    end if;
    claimed := true;
    if of_key <> '' then
        waited := current_setting('lock_timeout');
        perform set_config('lock_timeout', wait_ms::text, true);
        insert into idempotency_keys as k (workspace_id, route, key, fingerprint)
        values (nullif(space, nil), of_route, of_key, print)
        on conflict (scope, route, key) do update
           set fingerprint = excluded.fingerprint, status = null, location = null, body = null,
               created_at = now(), expires_at = excluded.expires_at
         where k.expires_at < now();
        claimed := found;
        perform set_config('lock_timeout', waited, true);
        if not claimed then
            select k.fingerprint, coalesce(k.status, 0), coalesce(k.location, ''), k.body into fingerprint, status, location, body
              from idempotency_keys k
             where k.scope = space and k.route = of_route and k.key = of_key and k.expires_at >= now();
            return;
        end if;
    end if;
    if enters then
        select e.present, e.shared, e.room, e.active, e.at, e.most, e.open, e.sure, e.trials_limit, e.trials_day, e.trials_used, e.trials_left
          into present, shared, room, active, at, most, open, sure, trials_limit, trials_day, trials_used, trials_left
          from enter_admission(space, alone, tune, depth, false) e;
    end if;
    if script is not null then -- what deletes it, or ends its examination, waits and then sees what was inserted
        select case when s.status = 'refused' then coalesce(s.report -> 'examination' ->> 'refusal', '') end into script_refusal
          from strategies s where s.workspace_id = space and s.id = script and s.erased_at is null for share;
        script_there := found;
    end if;
    if sets is not null then -- what deletes one waits and then sees what was inserted
        perform from datasets d where d.workspace_id = space and d.id = any(sets) order by d.id for key share;
        select count(distinct named) into sets_gone from unnest(sets) named
         where not exists (select from datasets d where d.workspace_id = space and d.id = named);
    end if;
    if names is not null then -- each name that is not null means the dataset at its place, as datasetQuery of package market looks it up
        select count(*) into sets_moved from unnest(sets, names, series, versions) n (id, name, series, version)
         where n.name is not null and n.id is distinct from (
               select d.id from datasets d
                where d.workspace_id = space
                  and (coalesce(d.series, d.name) = n.name and not d.superseded or coalesce(d.series, d.name) = n.series and d.version = n.version)
                order by coalesce(d.series, d.name) = n.name desc limit 1);
    end if;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function begin_submission(uuid, boolean, text, text, bytea, int, boolean, boolean, boolean, int, uuid, uuid[], text[], text[], int[]);
drop function enter_admission(uuid, boolean, boolean, int, boolean);
