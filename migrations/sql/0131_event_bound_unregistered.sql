-- +goose Up
-- A transaction gets its id first and the lock that shows it a moment later. A writer that is stopped between
-- the two holds event_log's lock and shows no id, so it was taken for one that has none yet, whose rows come
-- behind everything; but its rows can come before the last completed transaction by then. A snapshot knows an
-- id from the start: while a writer shows no id, an id that ran when the place was taken, that has no
-- lock and that still runs may be its own, and readers stop before it.
-- +goose StatementBegin
create or replace function event_log_bound(out xid xid8, out id bigint) language plpgsql volatile
    set search_path = pg_catalog, pg_temp as $$
declare
    seen pg_snapshot;
    first bigint;
    unregistered bigint[];
begin
    -- In this order: what is written from now on lies behind these two.
    seen := pg_current_snapshot();
    xid := (pg_snapshot_xmax(seen)::text::bigint - 1)::text::xid8;
    id := coalesce(pg_sequence_last_value('public.event_log_order_seq'::regclass), 0) + 1;
    with locks as materialized ( -- one look: two would miss what moves between them
        select l.virtualtransaction as virtual, l.locktype, l.database, l.relation, l.mode, l.transactionid::text::bigint as transactionid
          from pg_locks l where l.locktype in ('relation', 'transactionid') and l.granted
    ), ids as (
        -- The lock shows 32 bits of the id; it is within 2^31 of the next one.
        select x.virtual, n.next + (x.transactionid - n.next % 4294967296 + 6442450944) % 4294967296 - 2147483648 as own
          from locks x, (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) n
         where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
    ), writers as (
        select (select min(i.own) from ids i where i.virtual = w.virtual) as writes
          from locks w
         where w.locktype = 'relation' and w.mode = 'RowExclusiveLock'
           and w.relation = 'public.event_log'::regclass
           and w.database = (select d.oid from pg_database d where d.datname = current_database())
    )
    select (select min(w.writes) from writers w),
           case when exists (select from writers w where w.writes is null)
                then array(select x::text::bigint from pg_snapshot_xip(seen) x
                           except select i.own from ids i) end
      into first, unregistered;
    if cardinality(unregistered) > 0 then -- those that have ended since are visible to what begins after this
        select least(first, min(x)) into first
          from unnest(unregistered) x where not pg_visible_in_snapshot(x::text::xid8, pg_current_snapshot());
    end if;
    if first <= xid::text::bigint then
        xid := first::text::xid8;
        id := 0;
    end if;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function event_log_bound(out xid xid8, out id bigint) language plpgsql volatile
    set search_path = pg_catalog, pg_temp as $$
declare
    first xid8;
begin
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
