-- +goose Up
-- A look at the log ran two statements over all of its days, the second also where the first had found nothing; and that one
-- read 200 rows also where the first four hold as many events as were asked for, as those of a fleet whose jobs change by the
-- hundred. Now one statement runs until there are enough, and another only where all that is new lies at or behind the first
-- transaction that runs.
-- +goose StatementBegin
create or replace function event_log_next(after_xid xid8, after_row bigint, most_rows int, most_events bigint)
    returns table (xid xid8, id bigint, at timestamptz, workspace_id uuid, topic text, type text, entity_id text,
                   job_ids bigint[], payload jsonb)
    language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_sort = off as $$
#variable_conflict use_column
declare
    upto_xid xid8;
    upto_row bigint := 0;
    from_row bigint := after_row;
    events   bigint := 0; -- of the rows that are returned
    fresh    boolean := false; -- one of them lies behind the place
    held     boolean := false; -- the next lies at or behind the bound
begin
    -- In a statement of its own, as the bound: what lies before it is visible to the next.
    upto_xid := pg_snapshot_xmin(pg_current_snapshot());
    for look in 1 .. 2 loop
        for xid, id, at, workspace_id, topic, type, entity_id, job_ids, payload in
            select l.xid, l.id, l.at, l.workspace_id, l.topic, l.type, l.entity_id, l.job_ids, l.payload
              from event_log l where (l.xid, l.id) >= (after_xid, from_row) order by l.xid, l.id limit most_rows
        loop
            if xid <> after_xid or id <> after_row then
                held := xid > upto_xid or xid = upto_xid and id >= upto_row;
                exit when held;
                fresh := true;
            end if;
            return next; -- the place's own row may have events left, and is there whatever runs
            events := events + coalesce(cardinality(job_ids), 1);
            exit when events >= most_events;
        end loop;
        exit when fresh or not held or look = 2;
        select b.xid, b.id into upto_xid, upto_row from event_log_bound() b;
        from_row := after_row + 1;
    end loop;
end
$$;
-- +goose StatementEnd


-- The rows of jobs that change alike are cut out of one list of their ids: to number the jobs first took a quarter of the
-- trigger's time, and to look up the state before of each as much. Where all were in one state, as those that a worker fetches
-- or completes, it is looked up for none; a fetch that finds no job has nothing to do.
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

-- +goose Down
-- +goose StatementBegin
create or replace function event_log_next(after_xid xid8, after_row bigint, most_rows int, most_events bigint)
    returns table (xid xid8, id bigint, at timestamptz, workspace_id uuid, topic text, type text, entity_id text,
                   job_ids bigint[], payload jsonb)
    language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_sort = off as $$
#variable_conflict use_column
declare
    upto_xid xid8;
    upto_row bigint := 0;
    first    xid8;
begin
    -- In a statement of its own, as the bound: what lies before it is visible to the next.
    upto_xid := pg_snapshot_xmin(pg_current_snapshot());
    select l.xid into first from event_log l where (l.xid, l.id) > (after_xid, after_row) order by l.xid, l.id limit 1;
    if first is null then -- what is left of the place's own row
        upto_xid := after_xid;
        upto_row := after_row + 1;
    elsif first >= upto_xid then
        select b.xid, b.id into upto_xid, upto_row from event_log_bound() b;
    end if;
    return query
    select c.xid, c.id, c.at, c.workspace_id, c.topic, c.type, c.entity_id, c.job_ids, c.payload
      from (select r.*, sum(r.n) over (order by r.xid, r.id rows unbounded preceding) - r.n as ahead
              from (select l.*, coalesce(cardinality(l.job_ids), 1) as n from event_log l
                     where (l.xid, l.id) >= (after_xid, after_row) and (l.xid, l.id) < (upto_xid, upto_row)
                     order by l.xid, l.id limit most_rows) r) c
     where c.ahead < most_events
     order by c.xid, c.id;
end
$$;
-- +goose StatementEnd
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
    select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, array_agg(id),
           jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt)
      from (select n.id, n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt,
                   (row_number() over () - 1) / 200 as part
              from new_rows n) changed
     group by workspace, state, kind, queue, attempt, part;
    return null;
end
$$;

create or replace function event_log_from_river_update() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    insert into event_log (workspace_id, topic, type, job_ids, payload)
    select case when length(workspace) = 36 then workspace::uuid end, 'jobs', 'job.' || state, array_agg(id),
           jsonb_build_object('kind', kind, 'queue', queue, 'attempt', attempt, 'from', before)
      from (select n.id, n.args ->> 'workspace_id' as workspace, n.state, n.kind, n.queue, n.attempt,
                   o.state as before, (row_number() over () - 1) / 200 as part
              from new_rows n join old_rows o on o.id = n.id
             where o.state <> n.state) changed
     group by workspace, state, kind, queue, attempt, before, part;
    return null;
end
$$;
-- +goose StatementEnd
