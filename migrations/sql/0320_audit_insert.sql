-- +goose Up
-- What an entry of the audit log added to a transaction was a function of another role with a search path of its own,
-- jsonb that it built and wrote out again, and a hash of that. The transaction now inserts its entry itself: what the
-- servers act as may insert the columns that hold it, under row-level security, and no others. The time is the database's,
-- the order is the table's, and the hash is of the workspace's id and of the entry's bytes as the server sent them.
-- Sealing takes the entries of a chain into it by two statements, where it took two for each entry, and adds what it knows
-- to an entry's text; of a field that is there twice the last one counts.
lock table audit_unsealed in access exclusive mode;
select audit_seal(null, 2147483647); -- so that there are none of the older form
alter table audit_unsealed
    alter column entry type text,
    add column at timestamptz not null default clock_timestamp();
-- An entry is an object with something in it and nothing around it, so that sealing can write its last fields. The policies
-- say so, as a constraint is read and planned again by each insert, which took as long as all the rest.
drop policy tenant on audit_unsealed;
create policy tenant on audit_unsealed for select to millrace_app, millrace_workspace using (workspace_id = millrace_workspace());
create policy append_own on audit_unsealed for insert to millrace_app, millrace_workspace
    with check (workspace_id = millrace_workspace() and entry like '{"%}' and jsonb_typeof(entry::jsonb) = 'object');
create policy append_fleet on audit_unsealed for insert to millrace_fleet
    with check ((millrace_workspace() is null or workspace_id = millrace_workspace()) and entry like '{"%}' and jsonb_typeof(entry::jsonb) = 'object');
grant insert (workspace_id, entry, hash) on audit_unsealed to millrace_workspace, millrace_fleet;

grant create on schema public to millrace_audit; -- an owner has to have it when it replaces a function
-- What servers of before this migration call, until they are replaced.
-- +goose StatementBegin
create or replace function audit_append(space uuid, entry jsonb) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    own uuid := public.millrace_workspace();
begin
    if pg_current_xact_id_if_assigned() is null then
        return false;
    end if;
    if own is distinct from space and (own is not null or current_setting('role') <> 'millrace_fleet') then
        raise exception 'a transaction of a workspace writes to its own chain' using errcode = '42501';
    end if;
    insert into public.audit_unsealed (workspace_id, entry, hash)
    values (space, entry::text, sha256(uuid_send(space) || convert_to(entry::text, 'UTF8')));
    return true;
end
$$;
-- +goose StatementEnd

-- Takes the entries that are committed into their chains, at most so many: those of a workspace, or with null of every one
-- whose chain nobody else is sealing. An entry that does not have its hash any more is sealed as altered.
-- +goose StatementBegin
create or replace function audit_seal(space uuid, at_most int) returns bigint
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    own    uuid := public.millrace_workspace();
    chain  uuid;
    held   public.audit_heads;
    lines  text[];
    hashes bytea[];
    sealed bigint := 0;
begin
    if own is distinct from space and (own is not null or current_setting('role') <> 'millrace_fleet') then
        raise exception 'a transaction of a workspace seals its own chain' using errcode = '42501';
    end if;
    for chain in
        select u.workspace_id from public.audit_unsealed u where space is null or u.workspace_id = space
         group by u.workspace_id order by min(u.id)
    loop
        exit when sealed >= at_most;
        insert into public.audit_heads values (chain, 0, '') on conflict do nothing;
        if space is null then
            select * into held from public.audit_heads h where h.workspace_id = chain for update skip locked;
        else
            select * into held from public.audit_heads h where h.workspace_id = chain for update;
        end if;
        continue when not found;
        with gone as (
            delete from public.audit_unsealed u
             where u.workspace_id = chain
               and u.id <= coalesce((select v.id from public.audit_unsealed v where v.workspace_id = chain
                                      order by v.id offset at_most - sealed - 1 limit 1), 9223372036854775807)
            returning u.id, u.at, u.entry, u.hash)
        select array_agg(left(g.entry, -1) ||
                   case when g.hash = sha256(uuid_send(chain) || convert_to(g.entry, 'UTF8')) then '' else ', "altered": true' end ||
                   ', "seq": ' || held.seq + g.place || ', "workspace_id": "' || chain ||
                   '", "at": "' || to_char(g.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}' order by g.place)
          into lines
          from (select row_number() over (order by id) as place, gone.* from gone) g;
        continue when lines is null;
        hashes := '{}';
        for place in 1 .. cardinality(lines) loop
            hashes[place] := sha256((case when place = 1 then held.hash else hashes[place - 1] end) || convert_to(lines[place], 'UTF8'));
        end loop;
        insert into public.audit_log (workspace_id, seq, entry, hash)
        select chain, held.seq + u.place, u.line, u.hash from unnest(lines, hashes) with ordinality u (line, hash, place);
        update public.audit_heads h set seq = held.seq + cardinality(lines), hash = hashes[cardinality(lines)] where h.workspace_id = chain;
        sealed := sealed + cardinality(lines);
    end loop;
    return sealed;
end
$$;
-- +goose StatementEnd
revoke create on schema public from millrace_audit;

-- +goose Down
lock table audit_unsealed in access exclusive mode;
select audit_seal(null, 2147483647);
revoke insert (workspace_id, entry, hash) on audit_unsealed from millrace_workspace, millrace_fleet;
drop policy append_fleet on audit_unsealed;
drop policy append_own on audit_unsealed;
drop policy tenant on audit_unsealed;
create policy tenant on audit_unsealed to millrace_app, millrace_workspace using (workspace_id = millrace_workspace());
alter table audit_unsealed
    drop column at,
    alter column entry type jsonb using entry::jsonb;
grant create on schema public to millrace_audit;
-- +goose StatementBegin
create or replace function audit_append(space uuid, entry jsonb) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    own  uuid := public.millrace_workspace();
    line jsonb;
begin
    if pg_current_xact_id_if_assigned() is null then
        return false;
    end if;
    if own is distinct from space and (own is not null or current_setting('role') <> 'millrace_fleet') then
        raise exception 'a transaction of a workspace writes to its own chain' using errcode = '42501';
    end if;
    line := entry || jsonb_build_object('workspace_id', space,
        'at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
    insert into public.audit_unsealed (workspace_id, entry, hash) values (space, line, sha256(convert_to(line::text, 'UTF8')));
    return true;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function audit_seal(space uuid, at_most int) returns bigint
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    own    uuid := public.millrace_workspace();
    chain  uuid;
    held   public.audit_heads;
    one    record;
    line   text;
    sealed bigint := 0;
begin
    if own is distinct from space and (own is not null or current_setting('role') <> 'millrace_fleet') then
        raise exception 'a transaction of a workspace seals its own chain' using errcode = '42501';
    end if;
    for chain in
        select u.workspace_id from public.audit_unsealed u where space is null or u.workspace_id = space
         group by u.workspace_id order by min(u.id)
    loop
        exit when sealed >= at_most;
        insert into public.audit_heads values (chain, 0, '') on conflict do nothing;
        if space is null then
            select * into held from public.audit_heads h where h.workspace_id = chain for update skip locked;
        else
            select * into held from public.audit_heads h where h.workspace_id = chain for update;
        end if;
        continue when not found;
        for one in
            with gone as (
                delete from public.audit_unsealed u
                 where u.workspace_id = chain
                   and u.id in (select v.id from public.audit_unsealed v where v.workspace_id = chain order by v.id limit at_most - sealed)
                returning u.id, u.entry, u.hash)
            select * from gone order by id
        loop
            held.seq := held.seq + 1;
            line := (one.entry || jsonb_build_object('seq', held.seq) ||
                case when one.hash = sha256(convert_to(one.entry::text, 'UTF8')) then '{}' else '{"altered": true}' end::jsonb)::text;
            held.hash := sha256(held.hash || convert_to(line, 'UTF8'));
            insert into public.audit_log values (chain, held.seq, line, held.hash);
            sealed := sealed + 1;
        end loop;
        update public.audit_heads h set seq = held.seq, hash = held.hash where h.workspace_id = chain;
    end loop;
    return sealed;
end
$$;
-- +goose StatementEnd
revoke create on schema public from millrace_audit;
