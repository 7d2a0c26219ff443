-- +goose Up
-- The datasets of a tune over several; tunes.dataset_id is the first of them.
create table tune_datasets (
    tune_id      uuid not null references tunes on delete cascade,
    position     int not null, -- from 0, as the request names them
    workspace_id uuid not null,
    dataset_id   uuid not null references datasets,
    primary key (tune_id, position)
);
create index on tune_datasets (dataset_id);
alter table tune_datasets enable row level security, force row level security;
create policy tenant on tune_datasets to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on tune_datasets to millrace_fleet using (true) with check (true);
grant select, insert, delete on tune_datasets to millrace_app;
grant select, delete on tune_datasets to millrace_fleet;

-- +goose Down
drop table tune_datasets;
