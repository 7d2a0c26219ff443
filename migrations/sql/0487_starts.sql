-- +goose Up
-- What an idle worker's start of one job waits for. An event of one job was two statements, of which the second groups and cuts
-- lists of ids; now it is one, as it is where a job is inserted, and neither counts rows to know that there is only one.
-- +goose StatementBegin
create or replace function event_log_from_river_insert() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(n.args ->> 'workspace_id') = 36 then (n.args ->> 'workspace_id')::uuid end, 'jobs', 'job.' || n.state, array[n.id],
           jsonb_build_object('kind', n.kind, 'queue', n.queue, 'attempt', n.attempt)
      from new_rows n where not exists (select from new_rows offset 1);
    if found then
        return null;
    end if;
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, ids[part * 200 + 1 : part * 200 + 200],
           jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt)
      from (select n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt, array_agg(n.id) as ids
              from new_rows n
             group by 1, 2, 3, 4, 5) changed,
           generate_series(0, (cardinality(ids) - 1) / 200) part;
    return null;
end
$$;

create or replace function event_log_from_river_update() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    low  river_job_state;
    high river_job_state;
begin
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(n.args ->> 'workspace_id') = 36 then (n.args ->> 'workspace_id')::uuid end, 'jobs', 'job.' || n.state, array[n.id],
           jsonb_build_object('kind', n.kind, 'queue', n.queue, 'attempt', n.attempt, 'from', o.state)
      from new_rows n, old_rows o where o.state <> n.state and not exists (select from old_rows offset 1);
    if found then
        return null;
    end if;
    select min(o.state), max(o.state) into low, high from old_rows o;
    if low = high then
        insert into event_log (workspace_id, topic, type, job_ids, payload)
        select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, ids[part * 200 + 1 : part * 200 + 200],
               jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt, 'from', low)
          from (select n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt, array_agg(n.id) as ids
                  from new_rows n where n.state <> low
                 group by 1, 2, 3, 4, 5) changed,
               generate_series(0, (cardinality(ids) - 1) / 200) part;
    elsif low <> high then
        insert into event_log (workspace_id, topic, type, job_ids, payload)
        select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, ids[part * 200 + 1 : part * 200 + 200],
               jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt, 'from', before)
          from (select n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt, o.state as before, array_agg(n.id) as ids
                  from new_rows n join old_rows o on o.id = n.id where o.state <> n.state
                 group by 1, 2, 3, 4, 5, 6) changed,
               generate_series(0, (cardinality(ids) - 1) / 200) part;
    end if;
    return null;
end
$$;
-- +goose StatementEnd

-- A trigger's condition is read from its text again by each statement, this one in some 40 µs. A fetch makes jobs running, to which
-- the condition does not apply. Every outcome sets when the job ended, or with its error when it is to run again: the first by
-- the table's own check, the others as River writes them.
create or replace trigger river_job_holder before update of finalized_at, scheduled_at, errors on river_job for each row
    when (old.state = 'running' and new.state <> 'running' and (
        new.attempt not between old.attempt - 1 and old.attempt
        or cardinality(new.errors) > coalesce(cardinality(old.errors), 0)
           and (new.errors[cardinality(new.errors)] ->> 'attempt')::int <> old.attempt
        or nullif(current_setting('millrace.worker', true), '') <> old.attempted_by[cardinality(old.attempted_by)]
           and old.attempted_at > now() - interval '1 hour'))
    execute function river_job_refuse_zombie();

-- +goose Down
create or replace trigger river_job_holder before update on river_job for each row
    when (old.state = 'running' and new.state <> 'running' and (
        new.attempt not between old.attempt - 1 and old.attempt
        or cardinality(new.errors) > coalesce(cardinality(old.errors), 0)
           and (new.errors[cardinality(new.errors)] ->> 'attempt')::int <> old.attempt
        or nullif(current_setting('millrace.worker', true), '') <> old.attempted_by[cardinality(old.attempted_by)]
           and old.attempted_at > now() - interval '1 hour'))
    execute function river_job_refuse_zombie();
-- +goose StatementBegin
create or replace function event_log_from_river_insert() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(n.args ->> 'workspace_id') = 36 then (n.args ->> 'workspace_id')::uuid end, 'jobs', 'job.' || n.state, array[n.id],
           jsonb_build_object('kind', n.kind, 'queue', n.queue, 'attempt', n.attempt)
      from new_rows n where (select count(*) from new_rows) = 1;
    if found then
        return null;
    end if;
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, ids[part * 200 + 1 : part * 200 + 200],
           jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt)
      from (select n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt, array_agg(n.id) as ids
              from new_rows n
             group by 1, 2, 3, 4, 5) changed,
           generate_series(0, (cardinality(ids) - 1) / 200) part;
    return null;
end
$$;

create or replace function event_log_from_river_update() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    low  river_job_state;
    high river_job_state;
begin
    select min(o.state), max(o.state) into low, high from old_rows o;
    if low = high then
        insert into event_log (workspace_id, topic, type, job_ids, payload)
        select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, ids[part * 200 + 1 : part * 200 + 200],
               jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt, 'from', low)
          from (select n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt, array_agg(n.id) as ids
                  from new_rows n where n.state <> low
                 group by 1, 2, 3, 4, 5) changed,
               generate_series(0, (cardinality(ids) - 1) / 200) part;
    elsif low <> high then
        insert into event_log (workspace_id, topic, type, job_ids, payload)
        select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, ids[part * 200 + 1 : part * 200 + 200],
               jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt, 'from', before)
          from (select n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt, o.state as before, array_agg(n.id) as ids
                  from new_rows n join old_rows o on o.id = n.id where o.state <> n.state
                 group by 1, 2, 3, 4, 5, 6) changed,
               generate_series(0, (cardinality(ids) - 1) / 200) part;
    end if;
    return null;
end
$$;
-- +goose StatementEnd
