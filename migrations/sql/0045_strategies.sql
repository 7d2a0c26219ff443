-- +goose Up
-- Scripts of workspaces, each version with what compiling and checking it found.
create table strategies (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    name         text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'),
    version      int not null check (version > 0),
    sha256       bytea not null check (length(sha256) = 32),
    source       text not null check (octet_length(source) between 1 and 262144),
    report       jsonb not null,
    status       text not null check (status in ('ready', 'unstable')),
    created_at   timestamptz not null default now(),
    -- Erased, but pinned by a tune, a walk-forward or a run: nothing new finds it.
    erased_at    timestamptz,
    unique (workspace_id, sha256),
    unique (workspace_id, name, version)
);
create index on strategies (workspace_id, created_at desc, id desc) where erased_at is null;
alter table strategies enable row level security, force row level security;
create policy tenant on strategies to millrace_app
    using (workspace_id = millrace_workspace());
create policy fleet on strategies to millrace_fleet using (true) with check (true);
-- A version never changes: only whether it is erased does.
grant select, insert, delete on strategies to millrace_app;
grant update (erased_at) on strategies to millrace_app;
grant select, delete on strategies to millrace_fleet;

-- +goose Down
drop table strategies;
