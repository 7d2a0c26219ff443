-- +goose Up
create index tunes_by_strategy on tunes (workspace_id, strategy, created_at desc) where regime is not null;

-- The last explanation of a tune, as the API shows it.
create table tune_explanations (
    tune_id      uuid primary key references tunes on delete cascade,
    workspace_id uuid not null,
    body         json not null,
    created_at   timestamptz not null default now()
);
alter table tune_explanations enable row level security, force row level security;
create policy tenant on tune_explanations to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on tune_explanations to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on tune_explanations to millrace_app;
grant select, delete on tune_explanations to millrace_fleet;

-- +goose Down
drop table tune_explanations;
drop index tunes_by_strategy;
