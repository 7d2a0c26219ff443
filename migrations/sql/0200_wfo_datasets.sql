-- +goose Up
-- The datasets of a walk-forward over several, in order; one over a single dataset has none here. The dataset of
-- wfo_runs is the first.
create table wfo_datasets (
    wfo_id       uuid not null references wfo_runs on delete cascade,
    workspace_id uuid not null,
    position     int not null check (position >= 0),
    dataset_id   uuid not null references datasets,
    primary key (wfo_id, position)
);
create index on wfo_datasets (dataset_id);
alter table wfo_datasets enable row level security, force row level security;
create policy tenant on wfo_datasets to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on wfo_datasets to millrace_fleet using (true) with check (true);
grant select, insert, delete on wfo_datasets to millrace_app;
grant select, delete on wfo_datasets to millrace_fleet;

-- Null but for several datasets. curve_bars and curve_equity then hold the curves of the datasets one after the
-- other, so long each; together_equity is the account that has an equal part in each, at these microseconds.
alter table wfo_runs
    add column curve_parts     int[],
    add column together_at     bigint[],
    add column together_equity float8[];

-- The bars of each dataset in the windows: [{"train_bars", "test_bars"}].
alter table wfo_folds add column set_bars json;

-- +goose Down
alter table wfo_folds drop column set_bars;
alter table wfo_runs drop column together_equity, drop column together_at, drop column curve_parts;
drop table wfo_datasets;
