-- +goose Up
-- The event log. Readers take only rows whose xid is below the oldest transaction still running,
-- in (xid, id) order: an id alone commits out of order, and a reader of id > last loses rows.
create sequence event_log_id_seq cache 32; -- only the order inside one transaction matters

create table event_log (
    xid          xid8 not null default pg_current_xact_id(),
    id           bigint not null default nextval('event_log_id_seq'),
    at           timestamptz not null default clock_timestamp(),
    workspace_id uuid, -- null: the event belongs to the fleet, not to a tenant
    topic        text not null,
    type         text not null,
    entity_id    text not null,
    payload      jsonb not null default '{}'
) partition by range (at);

create index event_log_order on event_log (xid, id);
create index event_log_workspace_order on event_log (workspace_id, xid, id);

create table event_log_default partition of event_log default;

-- No foreign key to workspaces: an event outlives what it tells of, and a key check per event
-- would lock the workspace's row in every transaction of the fleet.
alter table event_log enable row level security, force row level security;
create policy tenant_read on event_log for select to millrace_app
    using (workspace_id = millrace_workspace());
-- The trigger below writes events of every workspace in one statement while River fetches jobs.
create policy tenant_write on event_log for insert to millrace_app
    with check (workspace_id = millrace_workspace() or pg_trigger_depth() > 0);
create policy fleet on event_log to millrace_fleet using (true) with check (true);
grant select, insert on event_log to millrace_app, millrace_fleet;
grant usage on sequence event_log_id_seq to millrace_app, millrace_fleet;

-- A restored or promoted database may hand out old xids again; its cursors must not be believed.
create table event_epoch (
    only_row boolean primary key default true check (only_row),
    id       uuid not null default gen_random_uuid()
);
insert into event_epoch default values;
grant select on event_epoch to millrace_app, millrace_fleet;

-- Makes the daily partitions from today to days_ahead, and says how many are new. ATTACH is used
-- because CREATE … PARTITION OF would lock out every reader and writer of the log.
-- +goose StatementBegin
create function event_log_roll(days_ahead int) returns int
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    made int := 0;
    day date;
    part text;
begin
    perform pg_advisory_xact_lock(hashtext('event_log_roll'));
    for offset_days in 0 .. days_ahead loop
        day := (now() at time zone 'utc')::date + offset_days;
        part := 'event_log_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass('public.' || part) is not null;
        begin
            execute format('create table %I (like event_log including defaults)', part);
            execute format('alter table event_log attach partition %I for values from (%L) to (%L)',
                part, day::timestamp at time zone 'utc', (day + 1)::timestamp at time zone 'utc');
            made := made + 1;
        exception when check_violation then
            -- Rows of that day are already in the default partition, which keeps serving it.
            null;
        end;
    end loop;
    return made;
end
$$;
-- +goose StatementEnd
revoke all on function event_log_roll(int) from public;
grant execute on function event_log_roll(int) to millrace_app, millrace_fleet;
select event_log_roll(3);

-- The one hidden step on the way of a job: every change of a River job's state becomes an event,
-- one insert a statement however many jobs it touches.
-- +goose StatementBegin
create function event_log_from_river_insert() returns trigger language plpgsql as $$
begin
    insert into event_log (workspace_id, topic, type, entity_id, payload)
    select case when length(n.args ->> 'workspace_id') = 36 then (n.args ->> 'workspace_id')::uuid end,
           'jobs', 'job.' || n.state, n.id,
           jsonb_build_object('kind', n.kind, 'queue', n.queue, 'attempt', n.attempt)
      from new_rows n
     order by n.id;
    return null;
end
$$;

create function event_log_from_river_update() returns trigger language plpgsql as $$
begin
    insert into event_log (workspace_id, topic, type, entity_id, payload)
    select case when length(n.args ->> 'workspace_id') = 36 then (n.args ->> 'workspace_id')::uuid end,
           'jobs', 'job.' || n.state, n.id,
           jsonb_build_object('kind', n.kind, 'queue', n.queue, 'attempt', n.attempt)
      from new_rows n
      join old_rows o on o.id = n.id
     where o.state <> n.state
     order by n.id;
    return null;
end
$$;
-- +goose StatementEnd

create trigger event_log_river_insert after insert on river_job
    referencing new table as new_rows
    for each statement execute function event_log_from_river_insert();
create trigger event_log_river_update after update on river_job
    referencing old table as old_rows new table as new_rows
    for each statement execute function event_log_from_river_update();

-- +goose Down
drop trigger event_log_river_update on river_job;
drop trigger event_log_river_insert on river_job;
drop function event_log_from_river_update();
drop function event_log_from_river_insert();
drop function event_log_roll(int);
drop table event_epoch;
drop table event_log;
drop sequence event_log_id_seq;
