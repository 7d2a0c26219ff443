-- +goose Up
-- What people call tunes, walk-forwards and datasets, and note of them. A label goes with what it is of.
create table labels (
    subject_id   uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    kind         text not null check (kind in ('tune', 'wfo', 'dataset')),
    name         text not null default '',
    note         text not null default '',
    tags         text[] not null default '{}',
    updated_at   timestamptz not null default now(),
    tune_id      uuid generated always as (case when kind = 'tune' then subject_id end) stored references tunes on delete cascade,
    wfo_id       uuid generated always as (case when kind = 'wfo' then subject_id end) stored references wfo_runs on delete cascade,
    dataset_id   uuid generated always as (case when kind = 'dataset' then subject_id end) stored references datasets on delete cascade
);
create index on labels (workspace_id, kind);
create index on labels (tune_id) where tune_id is not null;
create index on labels (wfo_id) where wfo_id is not null;
create index on labels (dataset_id) where dataset_id is not null;
alter table labels enable row level security, force row level security;
create policy tenant on labels to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on labels to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on labels to millrace_app;
grant select, delete on labels to millrace_fleet;

-- +goose Down
drop table labels;
