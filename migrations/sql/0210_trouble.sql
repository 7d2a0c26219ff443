-- +goose Up
-- What health and metrics ask of schedules and webhooks every few seconds. How many failures in a row are reported is the
-- program's to say, so the index has them all.
drop index schedules_failing;
create index schedules_failures on schedules (failures) where failures > 0;
create index schedules_next on schedules (next_at) where next_at is not null;
create index schedule_slots_skipped on schedule_slots (created_at) where state = 'skipped';
create index webhooks_dead on webhooks (id) where state = 'dead';
create index webhooks_failing on webhooks (failing_since) where state = 'active' and failing_since is not null;

-- +goose Down
drop index webhooks_failing;
drop index webhooks_dead;
drop index schedule_slots_skipped;
drop index schedules_next;
drop index schedules_failures;
create index schedules_failing on schedules (workspace_id) where failures >= 3;
