-- +goose Up
-- Readers of the log used to wait for every transaction of the server, in any database, that had
-- begun before an event's. Now they wait only for transactions that have written events.
--
-- A row's place is (xid, id). xid is no longer the transaction's own id but the last transaction that
-- had completed when the row was written, or the own id if that is later; id counts rows in the order
-- in which they are written. An insert locks event_log before it takes its place, and the lock ends
-- after the commit is visible. So a reader that takes the last completed transaction and the last id first,
-- and then looks at the locks, knows that every later row lies behind what it read, except those
-- of the lock holders, which lie at or behind their own transaction ids.
--
-- xid is not below the transaction's own id, so servers of the version before, which read below the
-- oldest running transaction, still see every row in order; cursors and the epoch stay as they are.

-- The place of a row that is written now. In another isolation level the snapshot would be as old as
-- the transaction, and so might the place be: readers may have passed it.
-- +goose StatementBegin
create function event_log_place() returns xid8 language plpgsql volatile parallel unsafe as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'events are written in read committed transactions only'
            using errcode = '0A000', hint = 'Begin the transaction without an isolation level.';
    end if;
    return greatest(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8);
end
$$;
-- +goose StatementEnd

-- One at a time: a session that keeps ids in store would write them late. The old sequence stays, as
-- sessions may hold ids of it.
create sequence event_log_order_seq increment by 1048576 start with 1048576;
grant usage on sequence event_log_order_seq to millrace_app, millrace_fleet;
select setval('event_log_order_seq', last_value + 64 * 1048576) from event_log_row_seq;

-- Waits for every transaction that has written events in the old way.
alter table event_log alter column xid set default event_log_place(),
                      alter column id set default nextval('event_log_order_seq');

-- The transactions that hold readers up: those that hold the lock an insert takes. writes is the
-- transaction id that none of their rows is before; null where there is none yet, and then their rows
-- come behind everything that is read before this is called.
-- In plpgsql, which keeps the plan: a relay asks many times a second.
-- +goose StatementBegin
create function event_log_writers(out pid int, out virtual text, out writes xid8) returns setof record
    language plpgsql volatile rows 8 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    with locks as materialized ( -- one look: two would miss what moves between them
        select l.pid, l.virtualtransaction as virtual, l.locktype, l.database, l.relation, l.mode, l.granted, l.transactionid
          from pg_locks l where l.locktype in ('relation', 'transactionid') and l.granted
    ), now as (
        select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next
    )
    select w.pid, w.virtual,
           -- The lock shows 32 bits of the id; it is within 2^31 of the next one.
           (select min(n.next + (x.transactionid::text::bigint - n.next % 4294967296 + 6442450944) % 4294967296 - 2147483648)::text::xid8
              from locks x, now n
             where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock' and x.virtual = w.virtual)
      from locks w
     where w.locktype = 'relation' and w.mode = 'RowExclusiveLock'
       and w.relation = 'public.event_log'::regclass
       and w.database = (select d.oid from pg_database d where d.datname = current_database());
end
$$;
-- +goose StatementEnd

-- Rows before this place are all there, and every statement that begins after this one sees them.
-- Rows at or behind it may be missing. It must be asked for in a statement of its own.
-- +goose StatementBegin
create function event_log_bound(out xid xid8, out id bigint) language plpgsql volatile
    set search_path = pg_catalog, pg_temp as $$
declare
    first xid8;
begin
    -- In this order: what is written from now on lies behind these two.
    xid := (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8;
    id := coalesce(pg_sequence_last_value('public.event_log_order_seq'::regclass), 0) + 1;
    select min(w.writes::text::bigint)::text::xid8 into first from public.event_log_writers() w;
    if first <= xid then
        xid := first;
        id := 0;
    end if;
end
$$;
-- +goose StatementEnd

-- Counting follows the same bound. A row that stands for many jobs has the ids above its own, so a
-- place that is one below the bound's lies behind all of the row before it.
-- +goose StatementBegin
create or replace function counters_recount() returns void language plpgsql as $$
declare
    upto record;
begin
    -- In a statement before the one that counts: what lies below is visible to that.
    select b.xid, b.id into upto from event_log_bound() b;
    delete from counters where subject = 'job';
    with place as (
        insert into counters_place (epoch, xid, id, folded_at)
        select event_log_epoch(), upto.xid, upto.id - 1, clock_timestamp()
        on conflict (only_row) do update
           set epoch = excluded.epoch, xid = excluded.xid, id = excluded.id, folded_at = excluded.folded_at
        returning xid, id
    ), counted as (
        delete from counter_deltas where subject = 'job'
    ), jobs as (
        select case when length(args ->> 'workspace_id') = 36 then (args ->> 'workspace_id')::uuid end as workspace_id,
               queue, state::text, count(*) as n
          from river_job group by 1, 2, 3
        union all
        select workspace_id, payload ->> 'queue', substr(type, 5), -coalesce(cardinality(job_ids), 1)
          from event_log, place where (event_log.xid, event_log.id) > (place.xid, place.id) and type like 'job.%'
        union all
        select workspace_id, payload ->> 'queue', payload ->> 'from', coalesce(cardinality(job_ids), 1)
          from event_log, place where (event_log.xid, event_log.id) > (place.xid, place.id) and type like 'job.%' and payload ? 'from'
    )
    insert into counters (workspace_id, subject, queue, state, n)
    select whose, 'job', queue, state, sum(n)
      from jobs, unnest(array['00000000-0000-0000-0000-000000000000', workspace_id]) whose
     where whose is not null
     group by whose, queue, state;
end
$$;
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function counters_fold(at_most int) returns int language plpgsql as $$
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
    select b.xid, b.id - 1 as id into upto from event_log_bound() b;
    -- A transaction that is older than the place, but has only now written, draws the bound back.
    if (upto.xid, upto.id) < (place.xid, place.id) then
        upto.xid := place.xid;
        upto.id := place.id;
    end if;
    select l.xid, l.id into page from event_log l
     where (l.xid, l.id) > (place.xid, place.id) and (l.xid, l.id) <= (upto.xid, upto.id)
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

-- Who holds the stream up, the one that began first in front: a session by its pid, or a prepared
-- transaction by its gid. since is when the transaction began. Sessions of other logins hide what they
-- do, so the owner looks.
create function event_log_blockers(out pid int, out gid text, out login text, out application text, out state text,
                                   out since timestamptz) returns setof record
    language sql volatile security definer rows 8 set search_path = pg_catalog, pg_temp as $$
    select w.pid, p.gid, coalesce(a.usename, p.owner)::text, a.application_name, case when p.gid is null then a.state else 'prepared' end,
           coalesce(p.prepared, a.xact_start)
      from public.event_log_writers() w
      left join pg_stat_activity a on a.pid = w.pid
      left join pg_prepared_xacts p on w.pid is null and p.transaction = w.writes::xid
     where w.writes is not null and w.pid is distinct from pg_backend_pid()
     order by 6
$$;
revoke all on function event_log_blockers() from public;
grant execute on function event_log_blockers() to millrace_app, millrace_fleet;

-- +goose Down
drop function event_log_blockers();
alter table event_log alter column xid set default pg_current_xact_id(),
                      alter column id set default nextval('event_log_row_seq');
-- +goose StatementBegin
create or replace function counters_recount() returns void language sql as $$
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
-- +goose StatementEnd
-- +goose StatementBegin
create or replace function counters_fold(at_most int) returns int language plpgsql as $$
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
drop function event_log_bound();
drop function event_log_writers();
drop function event_log_place();
drop sequence event_log_order_seq;
