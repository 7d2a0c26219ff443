-- +goose Up
-- What SQL in a workspace's transaction can reach. Until now such a transaction had the rights of the
-- fleet's sessions: it saw every workspace's jobs and workers, and a trigger on a temporary table of
-- its own wrote events for anybody.

-- Transactions of one workspace switch to this role. It has the rights of millrace_app, less what the
-- restrictive policies below take away.
-- +goose StatementBegin
do $$
declare
    login record;
begin
    begin
        create role millrace_tenant nologin;
    exception when duplicate_object or unique_violation then
        null;
    end;
    if not pg_has_role('millrace_tenant', 'millrace_app', 'usage') then
        grant millrace_app to millrace_tenant;
    end if;
    -- A login that may act as millrace_app may act as this, too.
    for login in select m.member::regrole::text as name, m.member as id from pg_auth_members m where m.roleid = 'millrace_app'::regrole loop
        if login.name <> 'millrace_tenant' and not exists (
            select from pg_auth_members t where t.roleid = 'millrace_tenant'::regrole and t.member = login.id) then
            execute format('grant millrace_tenant to %s', login.name);
        end if;
    end loop;
end
$$;

-- Nobody needs tables of their own.
do $$
begin
    execute format('revoke temporary on database %I from public', current_database());
    revoke create on schema public from public;
exception when insufficient_privilege then
    raise warning 'the database''s owner has to revoke temporary on it, and create on its schema public, from public';
end
$$;
-- +goose StatementEnd

-- River's own sessions work every job; a workspace's transaction sees its own.
alter table river_job enable row level security;
create policy app on river_job to millrace_app using (true) with check (true);
create policy fleet on river_job to millrace_fleet using (true) with check (true);
create policy tenant on river_job as restrictive to millrace_tenant
    using (args ->> 'workspace_id' = millrace_workspace()::text);
alter table workers enable row level security;
create policy app on workers to millrace_app using (true) with check (true);
create policy fleet on workers to millrace_fleet using (true) with check (true);
create policy tenant on workers as restrictive to millrace_tenant using (false);

-- All that a workspace's transaction has to know of the workers.
create function fleet_slots(queue text, lease interval) returns int
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum((w.queues ->> queue)::int), 0)::int from public.workers w
     where w.beat_at > clock_timestamp() - lease
$$;
revoke all on function fleet_slots(text, interval) from public;
grant execute on function fleet_slots(text, interval) to millrace_app, millrace_fleet;

-- Our triggers write what they write as the fleet's role, so the policies need no exception for
-- triggers; and nobody else may make a trigger of these functions.
-- +goose StatementBegin
do $$
declare
    name text;
begin
    grant create on schema public to millrace_fleet; -- an owner has to have it when it becomes one
    foreach name in array array['event_log_from_river_insert', 'event_log_from_river_update', 'river_job_refuse_zombie',
                                'counter_deltas_from_river_delete', 'counter_deltas_from_status'] loop
        execute format('alter function %I() security definer set search_path = pg_catalog, public, pg_temp', name);
        execute format('revoke all on function %I() from public', name);
        execute format('alter function %I() owner to millrace_fleet', name);
    end loop;
    revoke create on schema public from millrace_fleet;
end
$$;
-- +goose StatementEnd
alter policy tenant_write on event_log with check (workspace_id = millrace_workspace());
alter policy tenant on counter_deltas with check (workspace_id = millrace_workspace());
revoke insert on counter_deltas from millrace_app;
-- The place of an event and its time are given by the log.
revoke insert on event_log from millrace_app;
grant insert (workspace_id, topic, type, entity_id, payload) on event_log to millrace_app;

-- +goose StatementBegin
create or replace function event_log_roll(days_ahead int) returns int
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    made int := 0;
    day date;
    part text;
begin
    if days_ahead is null or days_ahead not between 0 and 31 then
        raise exception 'days_ahead must be from 0 to 31' using errcode = '22023';
    end if;
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

-- +goose Down
grant insert on event_log to millrace_app;
grant insert on counter_deltas to millrace_app;
alter policy tenant on counter_deltas with check (workspace_id = millrace_workspace() or pg_trigger_depth() > 0);
alter policy tenant_write on event_log with check (workspace_id = millrace_workspace() or pg_trigger_depth() > 0);
-- +goose StatementBegin
do $$
declare
    name text;
begin
    foreach name in array array['event_log_from_river_insert', 'event_log_from_river_update', 'river_job_refuse_zombie',
                                'counter_deltas_from_river_delete', 'counter_deltas_from_status'] loop
        execute format('alter function %I() owner to current_user', name);
        execute format('alter function %I() security invoker reset all', name);
        execute format('grant execute on function %I() to public', name);
    end loop;
end
$$;
-- +goose StatementEnd
drop function fleet_slots(text, interval);
drop policy tenant on workers;
drop policy fleet on workers;
drop policy app on workers;
alter table workers disable row level security;
drop policy tenant on river_job;
drop policy fleet on river_job;
drop policy app on river_job;
alter table river_job disable row level security;
