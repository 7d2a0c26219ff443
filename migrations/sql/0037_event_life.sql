-- +goose Up
-- A log that comes from a backup is another log, though its server may have the same identifier, the
-- same timeline and the same epoch: two restores of one backup to two points in time, a dump that is
-- restored beside its original. So the epoch remembers where it was last seen, and a log found
-- elsewhere has another name at once, and an epoch of its own after `millrace migrate up`.
alter table event_epoch add column home text;

-- Where this log is: the server, its timeline, and the table itself, which a restore makes again.
create function event_log_home() returns text
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select s.system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/'
           || (select oid from pg_database where datname = current_database()) || '/' || 'public.event_log'::regclass::oid
      from pg_control_system() s
$$;
revoke all on function event_log_home() from public;
update event_epoch set home = event_log_home();

-- As before where the log was last seen, so that cursors stay what they are.
create or replace function event_log_epoch() returns text
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select s.system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' || e.id
           || case when e.home = public.event_log_home() then '' else '/' || public.event_log_home() end
      from pg_control_system() s, public.event_epoch e
$$;

-- Begins a new epoch if the log is elsewhere than it was last seen, or if asked to, and returns whether
-- it did.
-- +goose StatementBegin
create function event_log_renew(always boolean) returns boolean
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update event_epoch set id = gen_random_uuid(), home = event_log_home()
     where always or home is distinct from event_log_home();
    return found;
end
$$;
-- +goose StatementEnd
revoke all on function event_log_renew(boolean) from public;

-- +goose Down
drop function event_log_renew(boolean);
create or replace function event_log_epoch() returns text
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select s.system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' || e.id
      from pg_control_system() s, public.event_epoch e
$$;
drop function event_log_home();
alter table event_epoch drop column home;
