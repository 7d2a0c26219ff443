-- +goose Up
-- Counts that are O(1) to read however many jobs there are. Nobody who works waits for them: state
-- changes of River's jobs are already in the event log, anything else adds a row to counter_deltas,
-- and counters_fold sums both up from time to time, each exactly once.
create table counters (
    workspace_id uuid not null, -- the nil UUID: the whole fleet
    subject      text not null, -- job, or what count_statuses was told
    queue        text not null, -- of jobs; else empty
    state        text not null,
    n            bigint not null,
    primary key (workspace_id, subject, queue, state)
) with (fillfactor = 50);
alter table counters enable row level security, force row level security;
create policy tenant on counters for select to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on counters to millrace_fleet using (true) with check (true);
grant select on counters to millrace_app;
grant select, insert, update, delete on counters to millrace_fleet;

-- How many events of a type a span of time saw: minutes for the past hour, quarters for the day.
create table event_counts (
    workspace_id uuid not null, -- the nil UUID: the whole fleet
    span         interval not null,
    began_at     timestamptz not null,
    type         text not null,
    n            bigint not null,
    primary key (workspace_id, span, began_at, type)
) with (fillfactor = 70);
alter table event_counts enable row level security, force row level security;
create policy tenant on event_counts for select to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on event_counts to millrace_fleet using (true) with check (true);
grant select on event_counts to millrace_app;
grant select, insert, update, delete on event_counts to millrace_fleet;

-- Changes not yet summed up. Rows are only added, so that no two transactions meet in one.
create table counter_deltas (
    workspace_id uuid,
    subject      text not null,
    queue        text not null default '',
    state        text not null,
    n            int not null
);
alter table counter_deltas enable row level security, force row level security;
create policy tenant on counter_deltas for insert to millrace_app
    with check (workspace_id = millrace_workspace() or pg_trigger_depth() > 0);
create policy fleet on counter_deltas to millrace_fleet using (true) with check (true);
grant insert on counter_deltas to millrace_app;
grant select, insert, delete on counter_deltas to millrace_fleet;

-- How far the log has been counted, in which of its lives. No row: the jobs are to be counted anew.
create table counters_place (
    only_row  boolean primary key default true check (only_row),
    epoch     text not null,
    xid       xid8 not null,
    id        bigint not null,
    folded_at timestamptz not null
) with (fillfactor = 50);
grant select, insert, update, delete on counters_place to millrace_fleet;
grant select on counters_place to millrace_app;

-- +goose StatementBegin
-- Deleting a finished job is housekeeping and no event.
create function counter_deltas_from_river_delete() returns trigger language plpgsql as $$
begin
    insert into counter_deltas (workspace_id, subject, queue, state, n)
    select case when length(o.args ->> 'workspace_id') = 36 then (o.args ->> 'workspace_id')::uuid end,
           'job', o.queue, o.state, -count(*)
      from old_rows o
     group by 1, 2, 3, 4;
    return null;
end
$$;

-- For any table with workspace_id and status: how many of its rows are in which.
create function counter_deltas_from_status() returns trigger language plpgsql as $$
begin
    case tg_op
    when 'INSERT' then
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, count(*) from new_rows group by 1, 3;
    when 'DELETE' then
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, -count(*) from old_rows group by 1, 3;
    else
        insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, tg_argv[0], status, sum(n)
          from (select workspace_id, status, 1 from new_rows
                union all
                select workspace_id, status, -1 from old_rows) change (workspace_id, status, n)
         group by 1, 3 having sum(n) <> 0;
    end case;
    return null;
end
$$;

-- Counts the rows of a table by status from now on, and those it has.
create procedure count_statuses(counted regclass, subject text) language plpgsql as $$
begin
    execute format('create trigger count_insert after insert on %s referencing new table as new_rows
        for each statement execute function counter_deltas_from_status(%L)', counted, subject);
    execute format('create trigger count_update after update on %s referencing old table as old_rows new table as new_rows
        for each statement execute function counter_deltas_from_status(%L)', counted, subject);
    execute format('create trigger count_delete after delete on %s referencing old table as old_rows
        for each statement execute function counter_deltas_from_status(%L)', counted, subject);
    -- An owner that is no superuser sees no row of a table with forced row-level security.
    set local role millrace_fleet;
    execute format('insert into counter_deltas (workspace_id, subject, state, n)
        select workspace_id, %L, status, count(*) from %s group by 1, 3', subject, counted);
    reset role;
end
$$;
-- +goose StatementEnd
create trigger counter_deltas_river_delete after delete on river_job referencing old table as old_rows
    for each statement execute function counter_deltas_from_river_delete();
call count_statuses('tunes', 'tune');
grant delete on event_log to millrace_fleet;
grant update on event_epoch to millrace_fleet;

-- +goose StatementBegin
-- A log that was restored from a dump holds events of another server's transactions. Those that
-- this server has not come to yet would turn up in the feed when it does: they are let go.
create function event_log_disown() returns void language plpgsql as $$
declare
    next xid8 := pg_snapshot_xmax(pg_current_snapshot());
begin
    delete from event_log where xid >= next;
    if found then
        update event_epoch set floor_xid = next;
    end if;
end
$$;
-- +goose StatementEnd

-- Counts the jobs anew: the first time, and when the log they were followed by is another one or
-- no longer reaches back to the place. All of it is one statement and so sees one snapshot: the
-- jobs as they are, less the changes of transactions that the place is set before, as those will
-- be folded in their turn.
-- +goose StatementBegin
create function counters_recount() returns void language sql as $$
    delete from counters where subject = 'job';
    with place as (
        insert into counters_place (epoch, xid, id, folded_at)
        select event_log_epoch(), pg_snapshot_xmin(pg_current_snapshot()), 0, clock_timestamp()
        on conflict (only_row) do update
           set epoch = excluded.epoch, xid = excluded.xid, id = 0, folded_at = excluded.folded_at
        returning xid
    ), counted as (
        delete from counter_deltas where subject = 'job'
    ), jobs as (
        select case when length(args ->> 'workspace_id') = 36 then (args ->> 'workspace_id')::uuid end as workspace_id,
               queue, state::text, count(*) as n
          from river_job group by 1, 2, 3
        union all
        select workspace_id, payload ->> 'queue', substr(type, 5), -coalesce(cardinality(job_ids), 1)
          from event_log, place where event_log.xid >= place.xid and type like 'job.%'
        union all
        select workspace_id, payload ->> 'queue', payload ->> 'from', coalesce(cardinality(job_ids), 1)
          from event_log, place where event_log.xid >= place.xid and type like 'job.%' and payload ? 'from'
    )
    insert into counters (workspace_id, subject, queue, state, n)
    select whose, 'job', queue, state, sum(n)
      from jobs, unnest(array['00000000-0000-0000-0000-000000000000', workspace_id]) whose
     where whose is not null
     group by whose, queue, state;
$$;

-- Sums up at most so many rows of the log, and every delta. It returns how many events there were, or null
-- when another process is at it. With nothing to count the place moves on now and then, so that
-- pruning the log does not overtake it.
create function counters_fold(at_most int) returns int language plpgsql as $$
declare
    nil constant uuid := '00000000-0000-0000-0000-000000000000';
    place counters_place;
    upto record;
    page record;
    folded int;
    moved boolean;
begin
    if not pg_try_advisory_xact_lock(hashtext('counters_fold')) then
        return null;
    end if;
    select * into place from counters_place;
    if not found or place.epoch <> event_log_epoch()
       or place.xid < (select floor_xid from event_epoch) then
        perform event_log_disown();
        perform counters_recount();
        select * into place from counters_place;
    end if;
    -- Set before the events are read: whatever is below has ended, so every statement sees it.
    select pg_snapshot_xmin(pg_current_snapshot()) as xid, 0::bigint as id into upto;
    select l.xid, l.id into page from event_log l
     where (l.xid, l.id) > (place.xid, place.id) and l.xid < upto.xid
     order by l.xid, l.id offset at_most - 1 limit 1;
    if found then
        upto := page;
    end if;

    with fresh as materialized (
        select workspace_id, type, date_trunc('minute', at) as minute,
               payload ->> 'queue' as queue, payload ->> 'from' as before,
               sum(coalesce(cardinality(job_ids), 1)) as n
          from event_log
         where (xid, id) > (place.xid, place.id) and (xid, id) <= (upto.xid, upto.id)
         group by 1, 2, 3, 4, 5
    ), windows as (
        insert into event_counts (workspace_id, span, began_at, type, n)
        select whose, span, date_bin(span, minute, 'epoch'), type, sum(n)
          from fresh, unnest(array[nil, workspace_id]) whose,
               unnest(array[interval '1 minute', interval '15 minutes']) span
         where whose is not null
         group by 1, 2, 3, 4
        on conflict (workspace_id, span, began_at, type) do update set n = event_counts.n + excluded.n
    ), deltas as (
        delete from counter_deltas returning workspace_id, subject, queue, state, n
    ), changes as (
        select workspace_id, 'job' as subject, queue, substr(type, 5) as state, n
          from fresh where type like 'job.%'
        union all
        select workspace_id, 'job', queue, before, -n
          from fresh where type like 'job.%' and before is not null
        union all
        select workspace_id, subject, queue, state, n from deltas
    ), sums as (
        insert into counters (workspace_id, subject, queue, state, n)
        select whose, subject, queue, state, sum(n)
          from changes, unnest(array[nil, workspace_id]) whose
         where whose is not null
         group by 1, 2, 3, 4
        having sum(n) <> 0
        on conflict (workspace_id, subject, queue, state) do update set n = counters.n + excluded.n
    )
    select coalesce((select sum(n) from fresh), 0), exists (select from changes) into folded, moved;
    update counters_place set xid = upto.xid, id = upto.id, folded_at = clock_timestamp()
     where folded > 0 or moved or folded_at < clock_timestamp() - interval '10 seconds';
    return folded;
end
$$;
-- +goose StatementEnd
set local role millrace_fleet;
select counters_recount();
reset role;

-- +goose Down
drop trigger count_insert on tunes;
drop trigger count_update on tunes;
drop trigger count_delete on tunes;
drop trigger counter_deltas_river_delete on river_job;
drop function counters_fold(int);
drop function counters_recount();
drop function event_log_disown();
drop procedure count_statuses(regclass, text);
drop function counter_deltas_from_status();
drop function counter_deltas_from_river_delete();
drop table counters_place;
drop table counter_deltas;
drop table event_counts;
drop table counters;
