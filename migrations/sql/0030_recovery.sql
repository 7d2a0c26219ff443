-- +goose Up
-- By how much the clock of a worker's machine was ahead of the database's at its last heartbeat.
alter table workers add column clock_ahead_seconds float8 not null default 0;

-- The sessions of a worker whose heartbeat is gone: a frozen or unreachable process may hold a lock or
-- a snapshot in one of them, and no other process may end it. Only sessions that name a silent worker
-- of this database are ended, so a role that may call this can end no session that is of use.
-- +goose StatementBegin
create function end_lost_sessions(lease interval) returns table (worker text, sessions int)
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    return query
        with lost as (
            select w.id, a.pid
              from workers w
              join pg_stat_activity a on a.application_name = 'millrace ' || w.id and a.datname = current_database()
             where w.beat_at < clock_timestamp() - greatest(lease, interval '2 seconds')
               and a.pid <> pg_backend_pid()),
        ended as (select l.id, pg_terminate_backend(l.pid) as done from lost l)
        select e.id, count(*)::int from ended e where e.done group by e.id;
end
$$;
-- +goose StatementEnd
revoke all on function end_lost_sessions(interval) from public;
grant execute on function end_lost_sessions(interval) to millrace_fleet;
-- Sessions of another login than the owner's need this; an owner that may not take it ends those of
-- its own login only, and the server's time limits end the rest.
-- +goose StatementBegin
do $$
begin
    grant pg_signal_backend to current_user;
exception when insufficient_privilege or invalid_grant_operation then
    null;
end
$$;
-- +goose StatementEnd

-- Whether the database takes writes. An update of an old row finds room on a full disk; a new file
-- does not, so every probe makes one. The row also says when a probe last went through.
create table write_probe (
    written_at timestamptz not null,
    filling    text not null
);
alter table write_probe alter column filling set storage external;
-- +goose StatementBegin
create function probe_write(fresh interval) returns timestamptz
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    latest timestamptz;
begin
    -- Probes at the same time, and soon after one another, are one.
    if not pg_try_advisory_xact_lock(hashtextextended('millrace write probe', 0)) then
        fresh := greatest(fresh, interval '10 seconds');
    end if;
    select p.written_at into latest from write_probe p;
    if latest > clock_timestamp() - fresh and latest <= clock_timestamp() and not pg_is_in_recovery()
       and not current_setting('transaction_read_only')::bool then
        return latest;
    end if;
    truncate write_probe;
    insert into write_probe values (clock_timestamp(), repeat('millrace', 8192)) returning written_at into latest;
    return latest;
end
$$;
-- +goose StatementEnd
revoke all on function probe_write(interval) from public;
grant execute on function probe_write(interval) to millrace_app, millrace_fleet;

-- +goose Down
drop function probe_write(interval);
drop table write_probe;
drop function end_lost_sessions(interval);
alter table workers drop column clock_ahead_seconds;
