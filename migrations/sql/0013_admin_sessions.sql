-- +goose Up
-- Sessions of the console and tickets for its event streams. Only digests are kept, and they are
-- keyed by the admin token: a dump of these tables opens nothing, and another token ends them all.
create table admin_sessions (
    digest     bytea primary key check (length(digest) = 32),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index on admin_sessions (expires_at);
grant select, insert, delete on admin_sessions to millrace_fleet;

create table event_tickets (
    digest       bytea primary key check (length(digest) = 32),
    workspace_id uuid not null references workspaces on delete cascade,
    -- A ticket ends with the session it was made in; null: it was made with the token itself.
    session      bytea references admin_sessions on delete cascade,
    expires_at   timestamptz not null
);
create index on event_tickets (expires_at);
create index on event_tickets (session);
create index on event_tickets (workspace_id);
alter table event_tickets enable row level security, force row level security;
create policy tenant on event_tickets to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on event_tickets to millrace_fleet using (true) with check (true);
grant select, insert, delete on event_tickets to millrace_fleet;

-- +goose Down
drop table event_tickets;
drop table admin_sessions;
