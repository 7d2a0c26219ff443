-- +goose Up
-- River records the outcome of an attempt by the job's id, for whichever attempt is running: a
-- worker that was taken for dead and comes back would fail, hand back or complete its successor.
-- So an outcome counts only from the attempt that holds the job: its number is in the error, or in
-- the one it is handed back with, and its process in the setting millrace.worker of the connection
-- (not through a transaction pooler, where the numbers alone must do). River's own rescue of jobs
-- stuck for an hour is let through; ours empties the setting. Refusals are events.
-- +goose StatementBegin
create function river_job_refuse_zombie() returns trigger language plpgsql as $$
begin
    insert into event_log (workspace_id, topic, type, entity_id, payload)
    select case when length(old.args ->> 'workspace_id') = 36 then (old.args ->> 'workspace_id')::uuid end,
           'jobs', 'zombie.refused', old.id,
           jsonb_build_object('kind', old.kind, 'queue', old.queue, 'attempt', old.attempt, 'wanted', new.state,
                              'by', current_setting('millrace.worker', true));
    return null;
end
$$;
-- +goose StatementEnd
create trigger river_job_holder before update on river_job for each row
    when (old.state = 'running' and new.state <> 'running' and (
        new.attempt not between old.attempt - 1 and old.attempt
        or cardinality(new.errors) > coalesce(cardinality(old.errors), 0)
           and (new.errors[cardinality(new.errors)] ->> 'attempt')::int <> old.attempt
        or nullif(current_setting('millrace.worker', true), '') <> old.attempted_by[cardinality(old.attempted_by)]
           and old.attempted_at > now() - interval '1 hour'))
    execute function river_job_refuse_zombie();

-- +goose Down
drop trigger river_job_holder on river_job;
drop function river_job_refuse_zombie();
