-- +goose Up
-- A walk-forward: its folds are child tunes, let in a few at a time. It counts as one against the
-- workspace's cap, and its children do not count.
create table wfo_runs (
    id                uuid primary key,
    workspace_id      uuid not null references workspaces on delete cascade,
    dataset_id        uuid not null references datasets,
    strategy          text not null,
    objective         text not null,
    search_type       text not null,
    spec              json not null, -- the tune body with its defaults filled in
    config            json not null, -- wfo_config with its defaults filled in
    status            text not null default 'pending'
                      check (status in ('pending', 'running', 'completed', 'partial', 'failed', 'canceled')),
    admitted          boolean not null,
    n_folds           int not null check (n_folds between 1 and 500),
    n_trials          int not null check (n_trials between 1 and 1000000), -- of each fold
    min_folds         int not null,
    top_k             int not null,
    allow_partial     boolean not null,
    candidates_job_id bigint not null, -- pending until the last fold has ended
    collect_job_id    bigint,
    warnings          jsonb not null default '[]',
    error             text,
    candidates        float8[], -- parameters of all candidates, one after the other
    outcome           json,
    curve_bars        int[],    -- of the stitched curve: bars of the dataset
    curve_equity      float8[],
    created_at        timestamptz not null default now(),
    started_at        timestamptz,
    completed_at      timestamptz
);
alter table wfo_runs alter column candidates set storage external;
create index on wfo_runs (workspace_id, created_at desc, id desc);
create index on wfo_runs (workspace_id, created_at, id) where status in ('pending', 'running');
create index on wfo_runs (dataset_id);
alter table wfo_runs enable row level security, force row level security;
create policy tenant on wfo_runs to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on wfo_runs to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on wfo_runs to millrace_app;
grant select, update, delete on wfo_runs to millrace_fleet;

-- Written once a shard of any fold, so kept narrow.
create table wfo_progress (
    wfo_id       uuid primary key references wfo_runs on delete cascade,
    workspace_id uuid not null,
    folds_done   int not null default 0,    -- ended, whatever the status
    folds_failed int not null default 0,    -- of them failed, canceled or impossible
    trials_done  bigint not null default 0, -- of shards that have ended
    scores_next  int not null default 0,    -- the first successful fold, in order, without a score job
    scores_done  int not null default 0,
    told_at      timestamptz                -- when progress was last told
) with (fillfactor = 50);
alter table wfo_progress enable row level security, force row level security;
create policy tenant on wfo_progress to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on wfo_progress to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on wfo_progress to millrace_app;
grant select, update, delete on wfo_progress to millrace_fleet;

alter table tunes add column wfo_id uuid references wfo_runs on delete cascade;
alter table tunes add column wfo_fold int;
-- Rows of the leaderboard that are kept; a fold keeps its candidates only.
alter table tunes add column leaders int not null default 1000 check (leaders between 1 and 1000);
create unique index on tunes (wfo_id, wfo_fold) where wfo_id is not null;
create index tunes_listed on tunes (workspace_id, created_at desc, id desc) where wfo_id is null;

create table wfo_folds (
    wfo_id       uuid not null references wfo_runs on delete cascade,
    fold         int not null,
    workspace_id uuid not null,
    train_start  timestamptz not null,
    train_end    timestamptz not null,
    test_end     timestamptz not null,
    train_bars   int not null,
    test_bars    int not null,
    tune_id      uuid references tunes on delete cascade, -- null: it cannot be run
    status       text not null default 'pending'
                 check (status in ('pending', 'running', 'completed', 'failed', 'canceled')),
    error        text,
    top          float8[], -- parameters of its best trials, one after the other
    score_job_id bigint,
    scored       boolean not null default false,
    scores       float8[], -- by candidate, on the test window
    stretch      json,     -- its part of the stitched curve
    primary key (wfo_id, fold)
);
alter table wfo_folds enable row level security, force row level security;
create policy tenant on wfo_folds to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on wfo_folds to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on wfo_folds to millrace_app;
grant select, update, delete on wfo_folds to millrace_fleet;

create table wfo_candidates (
    wfo_id       uuid not null references wfo_runs on delete cascade,
    rank         int not null,
    workspace_id uuid not null,
    entry        json not null, -- as the API shows it
    primary key (wfo_id, rank)
);
alter table wfo_candidates enable row level security, force row level security;
create policy tenant on wfo_candidates to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on wfo_candidates to millrace_fleet using (true) with check (true);
grant select, insert, delete on wfo_candidates to millrace_app;
grant select, delete on wfo_candidates to millrace_fleet;

-- The best trials of short windows do not compare with those of whole tunes.
alter table tune_leaderboard add column fold boolean not null default false;
drop index tune_leaderboard_workspace_id_objective_score_tune_id_rank_idx;
create index tune_leaderboard_standing on tune_leaderboard (workspace_id, objective, score desc, tune_id, rank)
    where not fold;

-- +goose Down
drop index tune_leaderboard_standing;
delete from tune_leaderboard where fold;
alter table tune_leaderboard drop column fold;
create index on tune_leaderboard (workspace_id, objective, score desc, tune_id, rank);
drop table wfo_candidates;
drop table wfo_folds;
drop table wfo_progress;
delete from tunes where wfo_id is not null;
alter table tunes drop column leaders, drop column wfo_fold, drop column wfo_id;
drop table wfo_runs;
