-- +goose Up
-- Whether a silent worker still has sessions here, without ending them: see end_lost_sessions.
create function has_lost_sessions(lease interval) returns bool
    language sql stable security definer set search_path = public, pg_temp as $$
    select exists (select from workers w
                     join pg_stat_activity a on a.application_name = 'millrace ' || w.id and a.datname = current_database()
                    where w.beat_at < clock_timestamp() - greatest(lease, interval '2 seconds')
                      and a.pid <> pg_backend_pid())
$$;
revoke all on function has_lost_sessions(interval) from public;
grant execute on function has_lost_sessions(interval) to millrace_fleet;

-- +goose Down
drop function has_lost_sessions(interval);
