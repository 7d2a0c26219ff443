-- +goose Up
-- A schedule depends on the datasets that it names, and goes with them: it is hidden at once, as what else is being
-- deleted, and its history goes in the deletion's job.
alter table schedules add column deleted_at timestamptz;
create policy present on schedules as restrictive to millrace_app using (deleted_at is null or millrace_deleting());
alter table deletion_items drop constraint deletion_items_kind_check;
alter table deletion_items add constraint deletion_items_kind_check check (kind in ('tune', 'wfo', 'run_plan', 'run', 'dataset', 'schedule'));

-- +goose Down
delete from deletion_items where kind = 'schedule';
alter table deletion_items drop constraint deletion_items_kind_check;
alter table deletion_items add constraint deletion_items_kind_check check (kind in ('tune', 'wfo', 'run_plan', 'run', 'dataset'));
delete from schedules where deleted_at is not null;
drop policy present on schedules;
alter table schedules drop column deleted_at;
