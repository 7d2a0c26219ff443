-- What protects the data, and what it is attached to, as the database has it: a line for each, with
-- the statements that make it where it can be made again without data. Expressions are not compared,
-- as releases of Postgres write them differently; partitions of the event log come and go.
with ours (role) as (values ('millrace_app'), ('millrace_tenant'), ('millrace_fleet'), ('millrace_workspace')),
relations as (
    select c.oid, c.relname::text as name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl,
           case c.relkind when 'S' then 'sequence' else 'table' end as word
      from pg_class c where c.relnamespace = 'public'::regnamespace and not c.relispartition
       and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
),
functions as (
    select p.oid, p.proacl, p.prosecdef, p.prokind, pg_get_userbyid(p.proowner)::text as owner, p.proconfig,
           case p.prokind when 'p' then 'procedure ' else 'function ' end
               || format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) as name
      from pg_proc p where p.pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
),
found (rank, key, make) as (
    select 1, 'role ' || rolname, format('create role %I nologin', rolname) from pg_roles, ours where rolname = role
    union all
    select 2, 'rights of millrace_app for millrace_tenant', 'grant millrace_app to millrace_tenant'
      from pg_auth_members m where pg_get_userbyid(m.roleid) = 'millrace_app' and pg_get_userbyid(m.member) = 'millrace_tenant'
    union all
    select 2, 'rights of millrace_workspace for millrace_app', 'grant millrace_workspace to millrace_app'
      from pg_auth_members m where pg_get_userbyid(m.roleid) = 'millrace_workspace' and pg_get_userbyid(m.member) = 'millrace_app'
    union all
    select 3, 'table ' || name, '' from relations where relkind in ('r', 'p')
    union all
    select 4, case relkind when 'S' then 'sequence ' else 'index ' end || name, '' from relations where relkind in ('S', 'i', 'I')
    union all
    select 5, name, '' from functions
    union all
    select 6, name || ' runs as millrace_fleet', format('grant create on schema public to millrace_fleet; alter %s owner to millrace_fleet; revoke create on schema public from millrace_fleet', name)
      from functions where owner = 'millrace_fleet'
    union all
    select 7, name || ' is security definer', format('alter %s security definer', name) from functions where prosecdef
    union all
    select 8, 'row-level security on ' || name, format('alter table %I enable row level security', name) from relations where relrowsecurity
    union all
    select 8, 'forced row-level security on ' || name, format('alter table %I force row level security', name) from relations where relforcerowsecurity
    union all
    select 9, format('policy %s on %s, %s, for %s to %s', policyname, tablename, lower(permissive), lower(cmd), array_to_string(roles, ', ')),
           format('drop policy if exists %1$I on %2$I; create policy %1$I on %2$I as %3$s for %4$s to %5$s%6$s%7$s', policyname, tablename, permissive, cmd,
                  array_to_string(roles, ', '), ' using (' || qual || ')', ' with check (' || with_check || ')')
      from pg_policies where schemaname = 'public'
    union all
    select 10, format('trigger %s on %s', t.tgname, r.name), replace(pg_get_triggerdef(t.oid), 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER')
      from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal and t.tgenabled in ('O', 'A')
    union all
    select 11, name || ' is closed to public', format('revoke all on %s from public', name)
      from functions where proacl is not null and not exists (select from aclexplode(proacl) a where a.grantee = 0)
    union all
    select 12, 'no temporary tables for public', format('revoke temporary on database %I from public', '%DATABASE%')
     where not has_database_privilege('public', current_database(), 'temporary')
    union all
    select 12, 'no new objects in schema public for public', 'revoke create on schema public from public'
     where not has_schema_privilege('public', 'public', 'create')
    union all
    select 13, format('right to %s on schema public for %s', lower(a.privilege_type), role), format('grant %s on schema public to %I', a.privilege_type, role)
      from pg_namespace n, aclexplode(n.nspacl) a, ours where n.nspname = 'public' and pg_get_userbyid(a.grantee) = role
    union all
    select 13, format('right to %s on %s %s for %s', lower(a.privilege_type), word, name, role), format('grant %s on %s %I to %I', a.privilege_type, word, name, role)
      from relations, aclexplode(relacl) a, ours where pg_get_userbyid(a.grantee) = role
    union all
    select 13, format('right to %s column %s of %s for %s', lower(a.privilege_type), t.attname, name, role),
           format('grant %s (%I) on %I to %I', a.privilege_type, t.attname, name, role)
      from relations r join pg_attribute t on t.attrelid = r.oid and t.attnum > 0, aclexplode(t.attacl) a, ours where pg_get_userbyid(a.grantee) = role
    union all
    select 13, format('right to execute %s for %s', name, role), format('grant execute on %s to %I', name, role)
      from functions, aclexplode(proacl) a, ours where pg_get_userbyid(a.grantee) = role and owner <> role
)
select key, make from found order by rank, key collate "C"
