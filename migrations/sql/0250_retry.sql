-- +goose Up
-- What failed or was cancelled runs again as itself: how often it has, and how much of its work was done before.
alter table tunes add column retries int not null default 0;
alter table wfo_runs add column retries int not null default 0;
alter table ingest_jobs add column retries int not null default 0;
alter table tune_progress add column work_kept float8 not null default 0; -- of work_done, from before the last retry
-- Ingestions by the document's address: a retry makes the document again when it went with the failure. Null: made before.
alter table ingest_jobs add column canonical_url text;

-- The job was asked to stop: what it works on has ended, or is worked by another job by now.
-- +goose StatementBegin
create function refuse_stopped(what text) returns void language plpgsql as $$
begin
    raise exception '% was asked to stop', what using errcode = 'MR003';
end
$$;

-- As before, and a job that was asked to stop holds nothing: what it works on may have been taken up again.
create or replace function hold_job(workspace uuid, entity uuid, job bigint, held_attempt int) returns void language plpgsql as $$
declare
    stopped boolean;
begin
    if workspace = '00000000-0000-0000-0000-000000000000' then
        perform set_config('millrace.workspace', workspace::text, true);
    else
        perform enter_workspace(workspace);
    end if;
    perform pg_advisory_xact_lock(hashtextextended(
        coalesce((select t.wfo_id from tunes t where t.id = entity), entity)::text, 0));
    select j.metadata ? 'cancel_attempted_at' into stopped from river_job j
      where j.id = job and j.attempt = held_attempt and j.state = 'running'
        and coalesce(nullif(current_setting('millrace.worker', true), '') = j.attempted_by[cardinality(j.attempted_by)], true)
        for update;
    if not found then
        perform refuse_fenced(format('job %s, attempt %s,', job, held_attempt));
    end if;
    if stopped then
        perform refuse_stopped(format('job %s, attempt %s,', job, held_attempt));
    end if;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
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
drop function refuse_stopped(text);
alter table ingest_jobs drop column canonical_url;
alter table tune_progress drop column work_kept;
alter table ingest_jobs drop column retries;
alter table wfo_runs drop column retries;
alter table tunes drop column retries;
