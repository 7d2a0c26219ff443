-- +goose Up
-- The highest number of the versions of a name that were deleted: the next version has a higher one, so that a number
-- never stands for two versions.
create table retired_versions (
    workspace_id uuid not null references workspaces on delete cascade,
    kind         text not null check (kind in ('dataset', 'strategy')),
    name         text not null check (length(name) between 1 and 120),
    version      int not null check (version >= 1),
    primary key (workspace_id, kind, name)
);
alter table retired_versions enable row level security, force row level security;
create policy tenant on retired_versions to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on retired_versions to millrace_fleet using (true) with check (true);
grant select, insert, update on retired_versions to millrace_app;
grant select, delete on retired_versions to millrace_fleet;

-- +goose Down
drop table retired_versions;
