-- +goose Up
-- What was sent to be ingested, in parts, so that neither process holds more than a part while it
-- copies. A row that no job claims is an upload that was given up; upkeep removes it.
create table ingest_uploads (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    claimed      boolean not null default false,
    size         bigint not null default 0,
    created_at   timestamptz not null default now()
);
create index on ingest_uploads (workspace_id);
create index on ingest_uploads (created_at) where not claimed;
alter table ingest_uploads enable row level security, force row level security;
create policy tenant on ingest_uploads to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on ingest_uploads to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on ingest_uploads to millrace_app, millrace_fleet;

create table ingest_upload_parts (
    upload_id    uuid not null references ingest_uploads on delete cascade,
    workspace_id uuid not null,
    part         int not null,
    data         bytea not null,
    primary key (upload_id, part)
);
alter table ingest_upload_parts alter column data set storage external; -- PDFs are compressed already
alter table ingest_upload_parts enable row level security, force row level security;
create policy tenant on ingest_upload_parts to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on ingest_upload_parts to millrace_fleet using (true) with check (true);
grant select, insert, delete on ingest_upload_parts to millrace_app, millrace_fleet;

create table ingest_jobs (
    id              uuid primary key,
    workspace_id    uuid not null references workspaces on delete cascade,
    source_type     text not null check (source_type in ('youtube', 'pdf', 'article', 'pine', 'text', 'dataset')),
    detected        boolean not null, -- the type was found out, not named, so the content may correct it
    document_id     uuid not null,    -- no foreign key: the job outlives its document
    dataset_id      uuid,
    url             text,             -- null: the content was sent
    name            text not null default '', -- of the file, as it was sent
    upload_id       uuid references ingest_uploads on delete set null,
    options         jsonb not null default '{}',
    status          text not null default 'queued'
                    check (status in ('queued', 'running', 'retrying', 'completed', 'failed', 'canceled')),
    outcome         text check (outcome in ('created', 'replaced', 'unchanged')),
    reason          text, -- why it failed, or is tried again, in words for the one who asked
    stage           text not null default 'queued'
                    check (stage in ('queued', 'fetch', 'extract', 'embed', 'save', 'done')),
    done            int not null default 0, -- of total, within the stage
    total           int not null default 0,
    revision        bigint not null default 0, -- reserved for what this job will store
    river_job_id    bigint not null,
    attempts        int not null default 0,
    next_attempt_at timestamptz,
    bytes           bigint not null default 0,
    chunks          int not null default 0,
    created_at      timestamptz not null default now(),
    started_at      timestamptz,
    completed_at    timestamptz
);
create index on ingest_jobs (workspace_id, created_at desc, id desc);
create index on ingest_jobs (document_id) where status in ('queued', 'running', 'retrying');
create index on ingest_jobs (workspace_id) where status in ('queued', 'running', 'retrying');
create index on ingest_jobs (source_type, completed_at desc) where status in ('completed', 'failed');
alter table ingest_jobs enable row level security, force row level security;
create policy tenant on ingest_jobs to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on ingest_jobs to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on ingest_jobs to millrace_app, millrace_fleet;

-- +goose Down
drop table ingest_jobs;
drop table ingest_upload_parts;
drop table ingest_uploads;
