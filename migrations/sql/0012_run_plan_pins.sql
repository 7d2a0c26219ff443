-- +goose Up
-- The breadcrumbs of a pinned plan are pinned.
alter table run_plans add column pinned boolean not null default false;

-- +goose Down
alter table run_plans drop column pinned;
