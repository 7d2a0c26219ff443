-- +goose Up
-- What event_log_prune would drop: day partitions that end by the time given, then rows of such
-- days in the default partition. A big partition's events are the planner's figure, because
-- counting them would take longer than dropping them.
-- +goose StatementBegin
create function event_log_expired(before timestamptz) returns table (part text, events bigint)
    language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'event_log'::regclass and c.relname ~ '^event_log_\d{8}$'
           and (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'utc' <= least(before, now())
         order by c.relname
    loop
        select c.reltuples into events from pg_class c where c.oid = part::regclass and c.relpages > 5000;
        if coalesce(events, -1) < 0 then
            execute format('select count(*) from %I', part) into events;
        end if;
        return next;
    end loop;
    part := 'event_log_default';
    select count(*) into events from event_log_default where at < least(before, now());
    if events > 0 then
        return next;
    end if;
end
$$;

-- Drops the oldest day partition that ends by the time given or, when there is none, deletes up to
-- batch_size such rows of the default partition; no row is returned when nothing is left to do.
-- The floor rises in the same transaction, so that no reader takes what is gone for what never
-- was. Dropping locks the log for a moment: rather than make writers queue behind a lock that is
-- not had at once, it fails with lock_not_available and is tried again.
create function event_log_prune(before timestamptz, batch_size int) returns table (part text, events bigint)
    language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '300ms' as $$
declare
    top xid8;
begin
    perform pg_advisory_xact_lock(hashtext('event_log_roll'));
    select e.part, e.events into part, events from event_log_expired(before) e limit 1;
    if part is null then
        return;
    end if;
    if part = 'event_log_default' then
        with gone as (
            delete from event_log_default d where d.ctid = any (array(
                select ctid from event_log_default where at < least(before, now()) order by xid limit batch_size))
            returning d.xid)
        select count(*), (array_agg(xid order by xid desc))[1] into events, top from gone;
    else
        lock table event_log in access exclusive mode;
        execute format('select xid from %I order by xid desc limit 1', part) into top;
        execute format('drop table %I', part);
    end if;
    -- One above the last that is gone: its transaction may have written more than this event.
    update event_epoch set floor_xid = (top::text::numeric + 1)::text::xid8 where floor_xid <= top;
    return next;
end
$$;
-- +goose StatementEnd
revoke all on function event_log_expired(timestamptz), event_log_prune(timestamptz, int) from public;
grant execute on function event_log_expired(timestamptz), event_log_prune(timestamptz, int) to millrace_fleet;

-- +goose Down
drop function event_log_prune(timestamptz, int);
drop function event_log_expired(timestamptz);
