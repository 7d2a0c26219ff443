-- +goose Up
-- A workspace's chunks embedded anew, with another model or into a collection that lost them.
create table reembeds (
    id              uuid primary key,
    workspace_id    uuid not null references workspaces on delete cascade,
    provider        text not null,
    model           text not null,
    dimensions      int not null check (dimensions between 1 and 16384),
    collection      text not null,
    from_collection text not null,
    from_dimensions int not null,
    status          text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed')),
    reason          text, -- why it failed, or what it waits for
    done            int not null default 0,
    total           int not null default 0,
    river_job_id    bigint not null,
    created_at      timestamptz not null default now(),
    started_at      timestamptz,
    completed_at    timestamptz
);
create unique index reembeds_live on reembeds (workspace_id) where status in ('queued', 'running');
create index on reembeds (workspace_id, created_at desc, id desc);
alter table reembeds enable row level security, force row level security;
create policy tenant on reembeds to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on reembeds to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on reembeds to millrace_app, millrace_fleet;

-- The chunks that are in the new collection, so that an attempt goes on where the last one ended.
-- A row whose chunk is gone by now tells of a vector that is to be deleted.
create table reembed_chunks (
    reembed_id   uuid not null references reembeds on delete cascade,
    workspace_id uuid not null,
    chunk_id     uuid not null,
    document_id  uuid not null,
    primary key (reembed_id, chunk_id)
);
alter table reembed_chunks enable row level security, force row level security;
create policy tenant on reembed_chunks to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on reembed_chunks to millrace_fleet using (true) with check (true);
grant select, insert, delete on reembed_chunks to millrace_app, millrace_fleet;

-- +goose Down
drop table reembed_chunks;
drop table reembeds;
