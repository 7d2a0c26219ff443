-- +goose Up
-- Work that is submitted again and again: by a cron line in a time zone, or at every new version of a dataset.
create table schedules (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    name         text not null check (length(name) between 1 and 100),
    kind         text not null check (kind in ('tune', 'wfo', 'ingestion')),
    request      json not null,           -- the body of the submission, as it was checked
    prepared     json,                    -- of an ingestion: what the request comes to
    cron         text not null default '' check (length(cron) <= 200),
    time_zone    text not null default 'UTC' check (length(time_zone) <= 100),
    series       text not null default '' check (length(series) <= 400), -- name of the dataset whose new versions run it
    missed       text not null check (missed in ('skip', 'once', 'all')),
    paused       boolean not null default false,
    next_at      timestamptz,             -- the slot that job_id fires; null while nothing is to come
    job_id       bigint,                  -- the one River job that may fire it
    failures     int not null default 0,  -- runs in a row that have failed
    created_by   text not null default '' check (length(created_by) <= 200),
    created_at   timestamptz not null default clock_timestamp(),
    unique (workspace_id, name),
    check ((cron = '') <> (series = '')),
    check ((next_at is null) = (job_id is null)),
    check (next_at is null or cron <> '' and not paused)
);
create index on schedules (workspace_id, created_at desc, id desc);
create index on schedules (workspace_id, series) where series <> '';
create index on schedules (job_id) where job_id is not null;
create index schedules_failing on schedules (workspace_id) where failures >= 3;
alter table schedules enable row level security, force row level security;
create policy tenant on schedules to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on schedules to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on schedules to millrace_app;
grant select, delete on schedules to millrace_fleet;

-- Each time that a schedule was to run, and what became of it. Times that were missed and are not made up for
-- are one row a gap. entity_id has no foreign key: what was found is kept when the tune is deleted.
create table schedule_slots (
    id           uuid primary key,
    schedule_id  uuid not null references schedules on delete cascade,
    workspace_id uuid not null references workspaces on delete cascade,
    cause        text not null check (cause in ('cron', 'bars', 'manual')),
    slot_at      timestamptz not null,    -- of a gap its last slot
    dataset_id   uuid,                    -- the new version
    state        text not null check (state in ('due', 'running', 'completed', 'failed', 'canceled', 'skipped')),
    slots        int not null default 1 check (slots >= 1),
    first_at     timestamptz not null,    -- of a gap its first slot
    reason       text,
    job_id       bigint,                  -- what submits it, then what compares it
    entity_id    uuid,                    -- the tune, walk-forward or ingestion
    result       jsonb,
    changes      jsonb,                   -- against the result before; null where there is none
    compared_id  uuid,                    -- the slot of the result before
    created_at   timestamptz not null default clock_timestamp(),
    ended_at     timestamptz,
    check ((cause = 'bars') = (dataset_id is not null)),
    check (state <> 'running' or entity_id is not null)
);
create unique index schedule_slots_once on schedule_slots (schedule_id, slot_at) where cause = 'cron';
create unique index schedule_slots_version on schedule_slots (schedule_id, dataset_id) where cause = 'bars';
create unique index on schedule_slots (entity_id) where entity_id is not null;
create index on schedule_slots (schedule_id, id desc);
create index on schedule_slots (schedule_id, ended_at desc) where state = 'completed';
create index schedule_slots_open on schedule_slots (job_id) where state in ('due', 'running');
alter table schedule_slots enable row level security, force row level security;
create policy tenant on schedule_slots to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on schedule_slots to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on schedule_slots to millrace_app;
grant select, delete on schedule_slots to millrace_fleet;

-- +goose Down
drop table schedule_slots;
drop table schedules;
