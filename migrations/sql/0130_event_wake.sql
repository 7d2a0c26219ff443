-- +goose Up
-- The relay used to look at the log every 20 ms. Now it looks every few milliseconds while events come, and
-- sleeps otherwise; the first event after a pause wakes it. A NOTIFY at every commit would do that too, but
-- it takes a lock of the whole server.
--
-- A relay that sleeps holds the advisory lock 1835625581 ("mill" in ASCII, plus one) exclusively. A
-- transaction that writes an event tries to share it: where it may not, the relay sleeps, and the commit
-- notifies it; where it may, it keeps its share until it ends, and the relay cannot go to sleep before it
-- has. So no commit goes by a relay that sleeps. Without a relay nobody notifies.
-- +goose StatementBegin
create or replace function event_log_place() returns xid8 language plpgsql volatile parallel unsafe as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'events are written in read committed transactions only'
            using errcode = '0A000', hint = 'Begin the transaction without an isolation level.';
    end if;
    if not pg_try_advisory_xact_lock_shared(1835625581) then
        perform pg_notify('millrace_wake', '');
    end if;
    return greatest(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8);
end
$$;
-- +goose StatementEnd

-- The rows that hold the next events after a place: of at most so many rows from the place's own on, those
-- that begin before so many events. One round trip instead of two: the bound is asked for in a statement of
-- its own, as it must be, so what lies before it is visible to the next. The rows' events are counted as
-- jobs, of which a row can have many.
-- +goose StatementBegin
create function event_log_next(after_xid xid8, after_row bigint, most_rows int, most_events bigint)
    returns table (xid xid8, id bigint, at timestamptz, workspace_id uuid, topic text, type text, entity_id text,
                   job_ids bigint[], payload jsonb)
    language plpgsql volatile as $$
#variable_conflict use_column
declare
    upto record;
begin
    select b.xid, b.id into upto from event_log_bound() b;
    return query
    select c.xid, c.id, c.at, c.workspace_id, c.topic, c.type, c.entity_id, c.job_ids, c.payload
      from (select r.*, sum(r.n) over (order by r.xid, r.id rows unbounded preceding) - r.n as ahead
              from (select l.*, coalesce(cardinality(l.job_ids), 1) as n from event_log l
                     where (l.xid, l.id) >= (after_xid, after_row) and (l.xid, l.id) < (upto.xid, upto.id)
                     order by l.xid, l.id limit most_rows) r) c
     where c.ahead < most_events
     order by c.xid, c.id;
end
$$;
-- +goose StatementEnd
revoke all on function event_log_next(xid8, bigint, int, bigint) from public;
grant execute on function event_log_next(xid8, bigint, int, bigint) to millrace_fleet;

-- +goose Down
drop function event_log_next(xid8, bigint, int, bigint);
-- +goose StatementBegin
create or replace function event_log_place() returns xid8 language plpgsql volatile parallel unsafe as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'events are written in read committed transactions only'
            using errcode = '0A000', hint = 'Begin the transaction without an isolation level.';
    end if;
    return greatest(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8);
end
$$;
-- +goose StatementEnd
