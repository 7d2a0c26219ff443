-- +goose Up
create table datasets (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    name         text not null check (length(name) between 1 and 100),
    symbol       text not null check (length(symbol) between 1 and 40),
    timeframe    text not null check (length(timeframe) between 1 and 20),
    calendar     smallint not null check (calendar in (252, 365)),
    bars         int not null check (bars > 0),
    from_at      timestamptz not null,
    to_at        timestamptz not null,
    -- Of the uncompressed canonical columns, so CSV and Parquet of the same bars agree.
    sha256       bytea not null check (length(sha256) = 32),
    data         bytea not null,
    created_at   timestamptz not null default now(),
    unique (workspace_id, name)
);
-- Columns arrive compressed; a second pass by TOAST would only cost time.
alter table datasets alter column data set storage external;
create index on datasets (workspace_id, created_at desc, id desc);
alter table datasets enable row level security, force row level security;
create policy tenant on datasets to millrace_app
    using (workspace_id = millrace_workspace());
create policy fleet on datasets to millrace_fleet using (true) with check (true);
grant select, insert, delete on datasets to millrace_app;
grant select, delete on datasets to millrace_fleet;

create table backtest_runs (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    dataset_id   uuid not null references datasets,
    strategy     text not null,
    spec         jsonb not null,
    metrics      jsonb not null,
    trades       jsonb not null,
    equity       float8[] not null,
    first_bar    int not null,
    created_at   timestamptz not null default now()
);
create index on backtest_runs (workspace_id, created_at desc, id desc);
create index on backtest_runs (dataset_id);
alter table backtest_runs enable row level security, force row level security;
create policy tenant on backtest_runs to millrace_app
    using (workspace_id = millrace_workspace());
create policy fleet on backtest_runs to millrace_fleet using (true) with check (true);
grant select, insert, delete on backtest_runs to millrace_app;
grant select, delete on backtest_runs to millrace_fleet;

-- +goose Down
drop table backtest_runs;
drop table datasets;
