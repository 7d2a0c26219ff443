-- +goose Up
-- The vectors of the parts of a chunk, by which the best chunks of a question are put in order: one vector of a whole
-- chunk hides what a single sentence of it says. A chunk without a row is compared by its one vector. While a workspace
-- moves to another model, its chunks have parts in both collections.
create table chunk_parts (
    workspace_id uuid not null,
    chunk_id     uuid not null references chunks on delete cascade,
    collection   text not null,
    parts        bytea not null check (octet_length(parts) <= 4194304), -- see jobs/knowledge/parts.go
    primary key (chunk_id, collection)
);
alter table chunk_parts alter column parts set storage external; -- they do not compress
create index on chunk_parts (workspace_id, collection);
alter table chunk_parts enable row level security, force row level security;
create policy tenant on chunk_parts to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on chunk_parts to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on chunk_parts to millrace_app, millrace_fleet;

-- +goose Down
drop table chunk_parts;
