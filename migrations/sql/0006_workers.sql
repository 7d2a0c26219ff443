-- +goose Up
-- One row a worker process, renewed every second with the jobs it holds. A running job that no
-- live row holds is run again; a job that is merely long is held, so it is left alone.
create table workers (
    id         text primary key, -- the River client id, as in river_job.attempted_by
    host       text not null,
    pid        int not null,
    version    text not null,
    queues     jsonb not null,   -- {"trials": 2, …}: slots a queue
    running    bigint[] not null default '{}',
    started_at timestamptz not null default now(),
    beat_at    timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
grant select, insert, update, delete on workers to millrace_app, millrace_fleet;

-- River's tables belong to the migration's owner; the fleet works them as millrace_app.
grant select, insert, update, delete on river_job, river_leader, river_queue, river_notification
    to millrace_app, millrace_fleet;
grant select on river_migration to millrace_app, millrace_fleet;
grant usage on sequence river_job_id_seq, river_notification_id_seq to millrace_app, millrace_fleet;

-- Every state change of a job rewrites its row and its index entries (no HOT updates there), so
-- dead rows pile up at job rate: vacuum by count, not by share of a table that may be huge.
alter table river_job set (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 50000,
    autovacuum_vacuum_cost_limit = 2000, fillfactor = 80
);

-- +goose Down
alter table river_job reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold, autovacuum_vacuum_cost_limit, fillfactor);
drop table workers;
