-- +goose Up
-- One call sealed that many entries of each chain, however many chains, in one transaction: with a backlog of many it took
-- longer than any transaction may, and began again without end. It now seals that many in all, from the chain that has
-- waited longest on, so that a backlog of any size is sealed call by call. Two that seal at once make the heads of new chains in
-- the same order.
grant create on schema public to millrace_audit; -- an owner has to have it when it replaces a function
-- Takes the entries that are committed into their chains, at most so many: those of a workspace, or with null of every one
-- whose chain nobody else is sealing. An entry that does not have its hash any more is sealed as altered.
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

-- +goose Down
grant create on schema public to millrace_audit;
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
revoke create on schema public from millrace_audit;
