-- +goose Up
-- Everything below this transaction has been pruned: a cursor from before it cannot be resumed.
alter table event_epoch add column floor_xid xid8 not null default '0';

-- Names the life of this log: another cluster, a promoted replica or a restored copy hands out
-- transaction ids anew, so cursors of one life mean nothing in another. The timeline is the one
-- being written now; pg_control_checkpoint() would name the old one until the first checkpoint
-- after a promotion. On a standby this fails, as events must never be read from one.
create function event_log_epoch() returns text
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select s.system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' || e.id
      from pg_control_system() s, public.event_epoch e
$$;
revoke all on function event_log_epoch() from public;
grant execute on function event_log_epoch() to millrace_app, millrace_fleet;

-- +goose Down
drop function event_log_epoch();
alter table event_epoch drop column floor_xid;
