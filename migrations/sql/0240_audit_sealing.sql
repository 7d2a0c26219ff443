-- +goose Up
-- An entry of the audit log was chained by the transaction that it is about, which so held the head of its chain until
-- its commit was on disk: commits of one workspace went one after the other. Now that transaction adds the entry without
-- a lock, and sealing takes what is committed into the chain: workers at every beat, and each read of the log. Until
-- then an entry's own hash covers its bytes.
create table audit_unsealed (
    workspace_id uuid not null,
    id           bigint generated always as identity,
    entry        jsonb not null, -- without its place in the chain
    hash         bytea not null, -- of the entry's text
    primary key (workspace_id, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
alter table audit_unsealed enable row level security, force row level security;
create policy tenant on audit_unsealed to millrace_app, millrace_workspace using (workspace_id = millrace_workspace());
create policy fleet on audit_unsealed for select to millrace_fleet using (true);
create policy append on audit_unsealed to millrace_audit using (true) with check (true);
grant select on audit_unsealed to millrace_app, millrace_workspace, millrace_fleet;
grant select, insert, delete on audit_unsealed to millrace_audit;

grant create on schema public to millrace_audit; -- an owner has to have it when it replaces or gets a function
-- Adds an entry in the transaction that it is about, and reports whether it did: a transaction that has written nothing
-- leaves none. A transaction of a workspace writes to that workspace's chain, the fleet's to any.
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

-- Takes the entries that are committed into their chains, at most so many of each: those of a workspace, or with null of
-- every one whose chain nobody else is sealing. An entry that does not have its hash any more is sealed as altered.
-- +goose StatementBegin
create function audit_seal(space uuid, at_most int) returns bigint
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
    for chain in select distinct u.workspace_id from public.audit_unsealed u where space is null or u.workspace_id = space loop
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
                   and u.id in (select v.id from public.audit_unsealed v where v.workspace_id = chain order by v.id limit at_most)
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
alter function audit_seal(uuid, int) owner to millrace_audit;
revoke create on schema public from millrace_audit;
revoke all on function audit_seal(uuid, int) from public;
grant execute on function audit_seal(uuid, int) to millrace_app, millrace_workspace, millrace_fleet;

-- +goose Down
select audit_seal(null, 2147483647);
grant create on schema public to millrace_audit;
-- +goose StatementBegin
create or replace function audit_append(space uuid, entry jsonb) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    own  uuid := public.millrace_workspace();
    held public.audit_heads;
    line text;
begin
    if pg_current_xact_id_if_assigned() is null then
        return false;
    end if;
    if own is distinct from space and (own is not null or current_setting('role') <> 'millrace_fleet') then
        raise exception 'a transaction of a workspace writes to its own chain' using errcode = '42501';
    end if;
    loop
        select * into held from public.audit_heads h where h.workspace_id = space for update;
        exit when found;
        insert into public.audit_heads values (space, 0, '') on conflict do nothing;
    end loop;
    held.seq := held.seq + 1;
    line := (entry || jsonb_build_object('seq', held.seq, 'workspace_id', space,
        'at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))::text;
    held.hash := sha256(held.hash || convert_to(line, 'UTF8'));
    insert into public.audit_log values (space, held.seq, line, held.hash);
    update public.audit_heads h set seq = held.seq, hash = held.hash where h.workspace_id = space;
    return true;
end
$$;
-- +goose StatementEnd
revoke create on schema public from millrace_audit;
drop function audit_seal(uuid, int);
drop table audit_unsealed;
