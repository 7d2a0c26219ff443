-- +goose Up
-- Which model a workspace's knowledge is embedded with, and in which collection its vectors are.
-- Whoever replaces chunks holds the row in share mode until the end of the transaction, and the
-- switch to another model takes it for update: no chunk can fall between two collections.
create table workspace_models (
    workspace_id uuid primary key references workspaces on delete cascade,
    provider     text not null,
    model        text not null,
    collection   text not null,
    dimensions   int not null check (dimensions between 1 and 16384),
    switched_at  timestamptz not null default now()
);
alter table workspace_models enable row level security, force row level security;
create policy tenant on workspace_models to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on workspace_models to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on workspace_models to millrace_app, millrace_fleet;

-- The embedded vector index. A collection is of one model and shared by the workspaces that use it.
create table vector_collections (
    name       text primary key check (length(name) between 1 and 200),
    dimensions int not null check (dimensions between 1 and 16384),
    created_at timestamptz not null default now()
);
grant select, insert, delete on vector_collections to millrace_app, millrace_fleet;

-- Processes keep a workspace's vectors in memory and read what is newer than the version they
-- have. The row is locked from a change's first statement to its commit, so versions commit in
-- order and none is ever missed.
create table vector_sets (
    workspace_id uuid not null references workspaces on delete cascade,
    collection   text not null references vector_collections,
    version      bigint not null default 0,
    floor        bigint not null default 0, -- deletions up to here are forgotten: older copies start anew
    live         bigint not null default 0,
    dead         bigint not null default 0, -- rows that only tell of a deletion
    primary key (workspace_id, collection)
) with (fillfactor = 50);
alter table vector_sets enable row level security, force row level security;
create policy tenant on vector_sets to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on vector_sets to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on vector_sets to millrace_app, millrace_fleet;

create table vectors (
    workspace_id uuid not null,
    collection   text not null,
    chunk_id     uuid not null,
    document_id  uuid not null,
    revision     bigint not null,
    source_type  text not null,
    version      bigint not null,
    embedding    bytea, -- float32, little endian, length 1; null: deleted
    primary key (workspace_id, collection, chunk_id),
    foreign key (workspace_id, collection) references vector_sets on delete cascade
);
alter table vectors alter column embedding set storage external;
create index on vectors (workspace_id, collection, version);
create index on vectors (workspace_id, collection, document_id, revision) where embedding is not null;
alter table vectors enable row level security, force row level security;
create policy tenant on vectors to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on vectors to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on vectors to millrace_app, millrace_fleet;

-- +goose Down
drop table vectors;
drop table vector_sets;
drop table vector_collections;
drop table workspace_models;
