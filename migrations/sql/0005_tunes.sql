-- +goose Up
create table tunes (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    dataset_id   uuid not null references datasets,
    strategy     text not null,
    objective    text not null,
    search_type  text not null,
    spec         json not null, -- the request with its defaults filled in
    status       text not null default 'queued'
                 check (status in ('queued', 'running', 'completed', 'failed', 'canceled')),
    -- Admitted tunes count against the workspace's cap; the plan job of any other stays pending.
    admitted     boolean not null,
    plan_job_id  bigint,
    n_trials     int not null check (n_trials between 1 and 1000000),
    warnings     jsonb not null default '[]',
    error        text,
    outcome      json, -- best trial, overfit evidence, counts: what the collect step found
    ranking      int[], -- trial indexes by rank, best first
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    completed_at timestamptz
);
alter table tunes alter column ranking set storage external;
create index on tunes (workspace_id, created_at desc, id desc);
create index on tunes (workspace_id, created_at) where admitted and status in ('queued', 'running');
create index on tunes (workspace_id, created_at, id) where not admitted and status = 'queued';
create index on tunes (dataset_id);
alter table tunes enable row level security, force row level security;
create policy tenant on tunes to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on tunes to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on tunes to millrace_app;
grant select, update, delete on tunes to millrace_fleet;

-- Written once a shard, so kept narrow and with room on the page for HOT updates.
create table tune_progress (
    tune_id          uuid primary key references tunes on delete cascade,
    workspace_id     uuid not null,
    shards           int not null,
    shards_done      int not null default 0,
    next_shard       int not null default 0, -- the first shard that has no River job yet
    collect_job_id   bigint,
    trials_completed int not null default 0,
    trials_failed    int not null default 0,
    trials_skipped   int not null default 0,
    best_score       float8,
    best_trial       int,
    updated_at       timestamptz not null default now()
) with (fillfactor = 50);
alter table tune_progress enable row level security, force row level security;
create policy tenant on tune_progress to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on tune_progress to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on tune_progress to millrace_app;
grant select, delete on tune_progress to millrace_fleet;

create table tune_shards (
    tune_id      uuid not null references tunes on delete cascade,
    shard        int not null,
    workspace_id uuid not null,
    first_trial  int not null,
    n_trials     int not null,
    start_cursor bigint not null, -- where the search resumes enumerating; uint64 bits
    job_id       bigint,
    attempt      int,
    trials_done  int not null default 0, -- within a running attempt, for progress
    done         boolean not null default false,
    n_skipped    int,
    n_failed     int,
    columns      bytea, -- one row of figures a trial, columnar; kept
    top          bytea, -- full metrics of the shard's best trials; dropped by collect
    stats        bytea, -- samples for the overfit statistics; dropped by collect
    primary key (tune_id, shard)
) with (fillfactor = 80);
alter table tune_shards alter column columns set storage external;
alter table tune_shards alter column top set storage external;
alter table tune_shards alter column stats set storage external;
alter table tune_shards enable row level security, force row level security;
create policy tenant on tune_shards to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on tune_shards to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on tune_shards to millrace_app;
grant select, delete on tune_shards to millrace_fleet;

create table tune_leaderboard (
    tune_id      uuid not null references tunes on delete cascade,
    rank         int not null,
    workspace_id uuid not null,
    dataset_id   uuid not null,
    strategy     text not null,
    objective    text not null,
    trial_index  int not null,
    score        float8 not null,
    entry        json not null, -- params, scores and metrics as the API shows them
    primary key (tune_id, rank)
);
create index on tune_leaderboard (workspace_id, objective, score desc, tune_id, rank);
alter table tune_leaderboard enable row level security, force row level security;
create policy tenant on tune_leaderboard to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on tune_leaderboard to millrace_fleet using (true) with check (true);
grant select, insert, delete on tune_leaderboard to millrace_app;
grant select, delete on tune_leaderboard to millrace_fleet;

-- +goose Down
drop table tune_leaderboard;
drop table tune_shards;
drop table tune_progress;
drop table tunes;
