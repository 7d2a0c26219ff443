-- +goose Up
-- A workspace that is being deleted is there for nobody: its row is hidden from every role from the moment its deletion
-- is accepted, its transactions cannot begin, and its jobs cannot save. A job takes its rows away afterwards, some at a
-- time. Only the transactions of that deletion see it, as they set millrace.deleting.
alter table workspaces add column deleted_at timestamptz;
create policy present on workspaces as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
create policy present_fleet on workspaces as restrictive to millrace_fleet using (deleted_at is null or millrace_deleting());

-- Begins a transaction of a workspace that is there.
-- +goose StatementBegin
create function enter_workspace(space uuid) returns void language plpgsql as $$
begin
    perform set_config('millrace.workspace', space::text, true);
    perform from workspaces w where w.id = space;
    if not found then
        raise exception 'workspace % is not there', space using errcode = 'MR002';
    end if;
end
$$;

-- As before, and of a workspace that is there. A job of the fleet names none.
create or replace function hold_job(workspace uuid, entity uuid, job bigint, held_attempt int) returns void language plpgsql as $$
begin
    if workspace = '00000000-0000-0000-0000-000000000000' then
        perform set_config('millrace.workspace', workspace::text, true);
    else
        perform enter_workspace(workspace);
    end if;
    perform pg_advisory_xact_lock(hashtextextended(
        coalesce((select t.wfo_id from tunes t where t.id = entity), entity)::text, 0));
    perform from river_job j
      where j.id = job and j.attempt = held_attempt and j.state = 'running'
        and coalesce(nullif(current_setting('millrace.worker', true), '') = j.attempted_by[cardinality(j.attempted_by)], true)
        for update;
    if not found then
        perform refuse_fenced(format('job %s, attempt %s,', job, held_attempt));
    end if;
end
$$;
-- +goose StatementEnd

-- The deletions of workspaces, which outlive them: a row has the workspace's id, and no reference to it.
create table workspace_deletions (
    id           uuid primary key, -- of the workspace
    name         text not null,
    deleted_by   text not null,
    status       text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed')),
    error        text,
    xid          xid8 not null default pg_current_xact_id(), -- what began before it may still write
    index_empty  boolean not null default false, -- the vector index has nothing of it
    rows_deleted bigint not null default 0,
    river_job_id bigint not null,
    created_at   timestamptz not null default clock_timestamp(),
    started_at   timestamptz,
    completed_at timestamptz
);
create index on workspace_deletions (created_at desc, id desc);
create index workspace_deletions_open on workspace_deletions (status) where status <> 'completed';
alter table workspace_deletions enable row level security, force row level security;
create policy fleet on workspace_deletions to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on workspace_deletions to millrace_fleet;
grant delete on webhooks to millrace_fleet;

-- +goose Down
revoke delete on webhooks from millrace_fleet;
drop table workspace_deletions;
-- +goose StatementBegin
create or replace function hold_job(workspace uuid, entity uuid, job bigint, held_attempt int) returns void language plpgsql as $$
begin
    perform set_config('millrace.workspace', workspace::text, true);
    perform pg_advisory_xact_lock(hashtextextended(
        coalesce((select t.wfo_id from tunes t where t.id = entity), entity)::text, 0));
    perform from river_job j
      where j.id = job and j.attempt = held_attempt and j.state = 'running'
        and coalesce(nullif(current_setting('millrace.worker', true), '') = j.attempted_by[cardinality(j.attempted_by)], true)
        for update;
    if not found then
        perform refuse_fenced(format('job %s, attempt %s,', job, held_attempt));
    end if;
end
$$;
-- +goose StatementEnd
drop function enter_workspace(uuid);
drop policy present_fleet on workspaces;
drop policy present on workspaces;
alter table workspaces drop column deleted_at;
