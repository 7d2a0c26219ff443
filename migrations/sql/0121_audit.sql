-- +goose Up
-- Who changed what. Entries are added and never changed: the application may call audit_append and read, and holds no
-- other right; the role that adds them is nobody's login. Each workspace has a chain of its own, and so has what
-- belongs to none (the nil UUID): an entry's hash is that of the hash before it and the entry's bytes, so that one
-- which is changed, left out or moved shows.
-- +goose StatementBegin
do $$
begin
    begin
        create role millrace_audit nologin;
    exception when duplicate_object or unique_violation then
        null;
    end;
    if not pg_has_role(current_user, 'millrace_audit',
                       case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end) then
        grant millrace_audit to current_user;
    end if;
end
$$;
-- +goose StatementEnd

-- No reference to workspaces: what was done in one outlives it.
create table audit_log (
    workspace_id uuid not null,
    seq          bigint not null check (seq > 0),
    entry        text not null, -- JSON, whose bytes the hash is of
    hash         bytea not null,
    primary key (workspace_id, seq)
);
create table audit_heads (
    workspace_id uuid primary key,
    seq          bigint not null,
    hash         bytea not null
) with (fillfactor = 50);
alter table audit_log enable row level security, force row level security;
alter table audit_heads enable row level security, force row level security;
create policy tenant on audit_log to millrace_app using (workspace_id = millrace_workspace());
create policy tenant on audit_heads to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on audit_log for select to millrace_fleet using (true);
create policy fleet on audit_heads for select to millrace_fleet using (true);
create policy append on audit_log to millrace_audit using (true) with check (true);
create policy append on audit_heads to millrace_audit using (true) with check (true);
grant usage on schema public to millrace_audit;
grant select on audit_log, audit_heads to millrace_app, millrace_fleet;
grant insert on audit_log to millrace_audit;
grant select, insert, update on audit_heads to millrace_audit;

-- Adds an entry to a chain in the transaction that it is about, and reports whether it did: a transaction that has
-- written nothing leaves none. A transaction of a workspace writes to that workspace's chain, the fleet's to any.
-- Called last, so that the head is locked for the commit alone.
-- +goose StatementBegin
create function audit_append(space uuid, entry jsonb) returns boolean
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
grant create on schema public to millrace_audit; -- an owner has to have it when it becomes one
alter function audit_append(uuid, jsonb) owner to millrace_audit;
revoke create on schema public from millrace_audit;
revoke all on function audit_append(uuid, jsonb) from public;
grant execute on function audit_append(uuid, jsonb) to millrace_app, millrace_fleet;
grant execute on function millrace_workspace() to millrace_audit;

-- +goose Down
drop function audit_append(uuid, jsonb);
drop table audit_heads;
drop table audit_log;
drop owned by millrace_audit;
