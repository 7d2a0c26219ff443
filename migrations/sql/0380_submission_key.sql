-- +goose Up
-- A submission claimed its key by a row, and wrote the row again when it had its response. Now it claims the key by a lock,
-- under which it looks for the row, and inserts the row with its response when it commits: one row written instead of two,
-- and none to vacuum. Two keys whose hashes are the same wait for one another, and no more. A server of before this
-- migration claims by the row still, with begin_submission: the row that is inserted last is then refused as a duplicate.
--
-- The lock's first half is "mill" in ASCII, plus three: open_key_claims knows the claims by it.
-- +goose StatementBegin
create function open_submission(space uuid, fleet boolean, of_route text, of_key text, print bytea, wait_ms int,
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
    nil     constant uuid := '00000000-0000-0000-0000-000000000000';
    waited  text;
    expired boolean;
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
        perform pg_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) as lock_of_idempotency_keys;
        perform set_config('lock_timeout', waited, true);
        select k.fingerprint, coalesce(k.status, 0), coalesce(k.location, ''), k.body, k.expires_at < now()
          into fingerprint, status, location, body, expired
          from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key;
        if expired then
            delete from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key and k.expires_at < now();
        elsif found then
            claimed := false;
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

create or replace function open_key_claims(out claims bigint, out since timestamptz) language sql stable security definer
    set search_path = public, pg_temp as $$
    select count(distinct l.pid), min(a.xact_start)
      from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where (l.relation = 'idempotency_keys'::regclass and l.mode = 'RowExclusiveLock'
            or l.locktype = 'advisory' and l.objsubid = 2 and l.classid = 1835625583 and l.granted
               and l.database = (select d.oid from pg_database d where d.datname = current_database()))
       and l.pid <> pg_backend_pid()
$$;

-- +goose Down
drop function open_submission(uuid, boolean, text, text, bytea, int, boolean, boolean, boolean, int, uuid, uuid[], text[], text[], int[]);
create or replace function open_key_claims(out claims bigint, out since timestamptz) language sql stable security definer
    set search_path = public, pg_temp as $$
    select count(distinct l.pid), min(a.xact_start)
      from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.relation = 'idempotency_keys'::regclass and l.mode = 'RowExclusiveLock' and l.pid <> pg_backend_pid()
$$;
