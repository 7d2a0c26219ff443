-- +goose Up
-- Two roles, because a login that owns the tables or is a superuser would walk past row-level
-- security. Every pool switches to millrace_app, which sees one workspace per transaction;
-- fleet work (key lookup, relay, rescue, admin pages) switches to millrace_fleet for one
-- transaction at a time. Roles belong to the cluster, so another database may be creating them now.
-- +goose StatementBegin
do $$
declare
    role_name text;
begin
    foreach role_name in array array['millrace_app', 'millrace_fleet'] loop
        begin
            execute format('create role %I nologin', role_name);
        exception when duplicate_object or unique_violation then
            null;
        end;
        -- From 16 on the creator of a role is its member but may not switch to it.
        if not pg_has_role(current_user, role_name,
                           case when current_setting('server_version_num')::int < 160000
                                then 'member' else 'set' end) then
            execute format('grant %I to current_user', role_name);
        end if;
    end loop;
end
$$;
-- +goose StatementEnd

grant usage on schema public to millrace_app, millrace_fleet;
grant select on millrace_migration to millrace_app, millrace_fleet; -- for the readiness check

-- The workspace of this transaction, or null when none is set, in which case nothing matches.
create function millrace_workspace() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('millrace.workspace', true), '')::uuid;

create table workspaces (
    id         uuid primary key,
    name       text not null unique check (length(name) between 1 and 100),
    -- Tunes this workspace may have running at once across the whole fleet.
    tune_cap   int not null default 2 check (tune_cap between 1 and 1000),
    created_at timestamptz not null default now()
);
alter table workspaces enable row level security, force row level security;
create policy tenant on workspaces to millrace_app using (id = millrace_workspace());
create policy fleet on workspaces to millrace_fleet using (true) with check (true);
-- The row is locked, never rewritten, by a tenant: admission counts tunes under its lock.
grant select, update on workspaces to millrace_app;
grant select, insert, update, delete on workspaces to millrace_fleet;

create table api_keys (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    name         text not null check (length(name) between 1 and 100),
    role         text not null check (role in ('viewer', 'member', 'admin', 'owner')),
    key_sha256   bytea not null unique check (length(key_sha256) = 32),
    created_at   timestamptz not null default now(),
    revoked_at   timestamptz
);
create index on api_keys (workspace_id);
alter table api_keys enable row level security, force row level security;
create policy tenant on api_keys to millrace_app
    using (workspace_id = millrace_workspace());
create policy fleet on api_keys to millrace_fleet using (true) with check (true);
grant select on api_keys to millrace_app;
grant select, insert, update, delete on api_keys to millrace_fleet;

-- +goose Down
drop table api_keys;
drop table workspaces;
drop function millrace_workspace();
