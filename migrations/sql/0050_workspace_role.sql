-- +goose Up
-- What SQL in a workspace's transaction can reach by leaving its role. millrace_tenant is a member of
-- millrace_app, which sees every job and worker, so a login that may act as the one may act as the other; and the
-- servers' login may act as millrace_fleet. millrace_workspace is below millrace_app instead: it has rights of
-- its own, millrace_app has them through it, and a login that may act as nothing else cannot get further.
-- millrace_tenant stays for servers of the version before.
-- +goose StatementBegin
do $$
begin
    begin
        create role millrace_workspace nologin;
    exception when duplicate_object or unique_violation then
        null;
    end;
    if not pg_has_role('millrace_app', 'millrace_workspace', 'usage') then
        grant millrace_workspace to millrace_app;
    end if;
end
$$;
-- +goose StatementEnd

-- Gives millrace_workspace the rights that millrace_app has, but for the fleet's own tables and functions, and puts it
-- under the same policies. `migrate up` calls it after every migration, so that one which makes a table for
-- millrace_app need not know of it.
-- +goose StatementBegin
create function share_rights_with_workspaces() returns void
    language plpgsql set search_path = public, pg_temp as $$
declare
    command text;
begin
    for command in
        with relations as (
            select c.oid, c.relname, c.relacl, case c.relkind when 'S' then 'sequence' else 'table' end as kind
              from pg_class c
             where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'S') and not c.relispartition
               and c.relname not in ('workers', 'river_leader', 'river_queue', 'river_notification', 'river_notification_id_seq', 'river_migration',
                                     'llm_minutes')),
        app (id) as (select 'millrace_app'::regrole),
        given as (
            select format('grant %s on %s %I to millrace_workspace', a.privilege_type, r.kind, r.relname) as command
              from relations r, aclexplode(r.relacl) a, app where a.grantee = app.id
            union all
            select format('grant %s (%I) on %I to millrace_workspace', a.privilege_type, t.attname, r.relname)
              from relations r join pg_attribute t on t.attrelid = r.oid and t.attnum > 0, aclexplode(t.attacl) a, app where a.grantee = app.id
            union all
            select format('grant %s on schema public to millrace_workspace', a.privilege_type)
              from pg_namespace n, aclexplode(n.nspacl) a, app where n.nspname = 'public' and a.grantee = app.id
            union all
            select format('grant execute on %s %s to millrace_workspace', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure)
              from pg_proc p, aclexplode(p.proacl) a, app where p.pronamespace = 'public'::regnamespace and a.grantee = app.id
               and p.proname not in ('rate_limit_take', 'rate_limit_forget', 'retention_scheduler', 'retention_reschedule',
                                     'probe_write', 'open_key_claims', 'event_log_blockers')
            union all
            select format('alter policy %I on %I to millrace_app, millrace_workspace', p.policyname, p.tablename)
              from pg_policies p
             where p.schemaname = 'public' and p.roles = array['millrace_app']::name[] and p.policyname <> 'app')
        select g.command from given g
    loop
        execute command;
    end loop;
end
$$;
-- +goose StatementEnd
revoke all on function share_rights_with_workspaces() from public;

create policy workspace on river_job to millrace_workspace
    using (args ->> 'workspace_id' = millrace_workspace()::text) with check (args ->> 'workspace_id' = millrace_workspace()::text);
select share_rights_with_workspaces();

-- +goose Down
drop policy workspace on river_job;
drop function share_rights_with_workspaces();
-- +goose StatementBegin
do $$
declare
    command text;
begin
    for command in
        select format('alter policy %I on %I to millrace_app', policyname, tablename) from pg_policies
         where schemaname = 'public' and roles @> array['millrace_app', 'millrace_workspace']::name[]
    loop
        execute command;
    end loop;
end
$$;
-- +goose StatementEnd
drop owned by millrace_workspace;
