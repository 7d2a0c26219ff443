-- +goose Up
-- A worker finishes a step in one batch of statements, so that no lock is held while it is being waited
-- for. What a batch must not go on after is an error of the statement that finds it out.

-- The write belongs to an attempt that no longer holds its job.
-- +goose StatementBegin
create function refuse_fenced(what text) returns void language plpgsql as $$
begin
    raise exception '% is held by another attempt', what using errcode = 'MR001';
end
$$;
-- +goose StatementEnd

-- Begins a result: sets the workspace, takes the entity's lock, and makes sure that the attempt holds
-- its job. See store.Lock and the fence of package store, which do the same step by step.
-- +goose StatementBegin
create function hold_job(workspace uuid, entity uuid, job bigint, held_attempt int) returns void language plpgsql as $$
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

-- +goose Down
drop function hold_job(uuid, uuid, bigint, int);
drop function refuse_fenced(text);
