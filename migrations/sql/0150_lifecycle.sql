-- +goose Up
-- What is being deleted is not seen by the transactions of its workspace from the moment its deletion is accepted; a job
-- takes its rows away afterwards, some at a time. Only the transactions of a deletion see it, as they set
-- millrace.deleting. That narrows what they see of their own workspace, and opens nothing of another's.
create function millrace_deleting() returns boolean
    language sql stable parallel safe
    return coalesce(current_setting('millrace.deleting', true), '') = 'on';

alter table tunes add column deleted_at timestamptz, add column archived_at timestamptz;
alter table wfo_runs add column deleted_at timestamptz, add column archived_at timestamptz;
alter table run_plans add column deleted_at timestamptz, add column archived_at timestamptz;
alter table backtest_runs add column deleted_at timestamptz;
alter table datasets add column deleted_at timestamptz, add column archived_at timestamptz;
alter table documents add column archived_at timestamptz;
alter table strategies add column archived_at timestamptz;
create policy present on tunes as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
create policy present on wfo_runs as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
create policy present on run_plans as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
create policy present on backtest_runs as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
create policy present on datasets as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
grant update (deleted_at) on backtest_runs to millrace_app;
-- A version that is being deleted leaves its name to others.
grant update (archived_at, deleted_at, name, series) on datasets to millrace_app;
grant update (archived_at) on strategies to millrace_app;
-- Deleting a tune takes its fold away, which is found by it.
create index on wfo_folds (tune_id) where tune_id is not null;
-- What follows a dataset's bars inside bars of a higher timeframe depends on it.
create index tunes_intrabar on tunes ((spec ->> 'intrabar_dataset')) where spec ->> 'intrabar_dataset' is not null;
create index wfo_runs_intrabar on wfo_runs ((spec ->> 'intrabar_dataset')) where spec ->> 'intrabar_dataset' is not null;
create index backtest_runs_intrabar on backtest_runs ((spec ->> 'intrabar_dataset')) where spec ->> 'intrabar_dataset' is not null;

create table deletions (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    kind         text not null check (kind in ('tune', 'wfo', 'run_plan', 'run', 'dataset')),
    subject_id   uuid,             -- what was named; null: what a filter found
    items        int not null check (items > 0),
    items_done   int not null default 0,
    rows_deleted bigint not null default 0,
    status       text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed')),
    error        text,
    river_job_id bigint not null,
    created_at   timestamptz not null default clock_timestamp(),
    started_at   timestamptz,
    completed_at timestamptz
);
create index on deletions (workspace_id, created_at desc, id desc);
create index deletions_open on deletions (status) where status <> 'completed';
alter table deletions enable row level security, force row level security;
create policy tenant on deletions to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on deletions to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on deletions to millrace_app;
grant select, update, delete on deletions to millrace_fleet;

-- What is left of a deletion, in the order in which it goes.
create table deletion_items (
    deletion_id  uuid not null references deletions on delete cascade,
    ordinal      int not null,
    workspace_id uuid not null,
    kind         text not null check (kind in ('tune', 'wfo', 'run_plan', 'run', 'dataset')),
    subject_id   uuid not null,
    primary key (deletion_id, ordinal)
);
create unique index on deletion_items (subject_id);
alter table deletion_items enable row level security, force row level security;
create policy tenant on deletion_items to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on deletion_items to millrace_fleet using (true) with check (true);
grant select, insert, delete on deletion_items to millrace_app;
grant select, delete on deletion_items to millrace_fleet;

-- +goose Down
drop table deletion_items;
drop table deletions;
drop index backtest_runs_intrabar, wfo_runs_intrabar, tunes_intrabar, wfo_folds_tune_id_idx;
revoke update (archived_at) on strategies from millrace_app;
revoke update (archived_at, deleted_at, name, series) on datasets from millrace_app;
revoke update (deleted_at) on backtest_runs from millrace_app;
drop policy present on datasets;
drop policy present on backtest_runs;
drop policy present on run_plans;
drop policy present on wfo_runs;
drop policy present on tunes;
alter table strategies drop column archived_at;
alter table documents drop column archived_at;
alter table datasets drop column archived_at, drop column deleted_at;
alter table backtest_runs drop column deleted_at;
alter table run_plans drop column archived_at, drop column deleted_at;
alter table wfo_runs drop column archived_at, drop column deleted_at;
alter table tunes drop column archived_at, drop column deleted_at;
drop function millrace_deleting();
