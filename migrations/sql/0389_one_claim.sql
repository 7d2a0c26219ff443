-- +goose Up
-- While servers of before 0380 and after it run side by side, the older claimed a key by its row and the newer by its lock, and
-- neither saw the other before its last statement: the same submission to both was refused by one of them as still running
-- when it was answered already, and where each waited for what the other held, the workspace's admission and the row, one was
-- ended as a deadlock. Now what the older call claims the key by its lock too, and inserts the row that they write later.
-- +goose StatementBegin
create or replace function begin_submission(space uuid, fleet boolean, of_route text, of_key text, print bytea, wait_ms int,
    enters boolean, alone boolean, tune boolean, depth int, script uuid,
    sets uuid[], names text[], series text[], versions int[],
    out claimed boolean, out fingerprint bytea, out status int, out location text, out body bytea,
    out present boolean, out shared boolean, out room int, out active int, out at timestamptz,
    out most int, out open int, out sure boolean,
    out trials_limit bigint, out trials_day date, out trials_used bigint, out trials_left float8,
    out script_there boolean, out script_refusal text, out sets_gone int, out sets_moved int)
language plpgsql volatile as $$
begin
    select o.* into claimed, fingerprint, status, location, body, present, shared, room, active, at, most, open, sure,
                    trials_limit, trials_day, trials_used, trials_left, script_there, script_refusal, sets_gone, sets_moved
      from open_submission(space, fleet, of_route, of_key, print, wait_ms, enters, alone, tune, depth, script, sets, names, series, versions) o;
    if claimed and of_key <> '' then
        insert into idempotency_keys (workspace_id, route, key, fingerprint)
        values (nullif(space, '00000000-0000-0000-0000-000000000000'), of_route, of_key, print);
    end if;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function begin_submission(space uuid, fleet boolean, of_route text, of_key text, print bytea, wait_ms int,
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
