-- +goose Up
-- A row is written in the transaction of the effect it stands for, with the response already in
-- it: there is no pending state that a crash could leave behind.
create table idempotency_keys (
    workspace_id uuid not null references workspaces on delete cascade,
    route        text not null,
    key          text not null check (length(key) between 1 and 255),
    fingerprint  bytea not null check (length(fingerprint) = 32),
    status       smallint,
    location     text,
    body         bytea,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null default now() + interval '7 days',
    primary key (workspace_id, route, key)
);
create index on idempotency_keys (expires_at);
alter table idempotency_keys enable row level security, force row level security;
create policy tenant on idempotency_keys to millrace_app
    using (workspace_id = millrace_workspace());
create policy fleet on idempotency_keys to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on idempotency_keys to millrace_app, millrace_fleet;

-- +goose Down
drop table idempotency_keys;
