-- +goose Up
-- Work of the whole fleet, such as retention, is submitted under keys too; those belong to no
-- workspace. The scope stands in for the workspace in the key, which takes no null.
alter table idempotency_keys drop constraint idempotency_keys_pkey;
alter table idempotency_keys alter column workspace_id drop not null;
alter table idempotency_keys add column scope uuid not null
    generated always as (coalesce(workspace_id, '00000000-0000-0000-0000-000000000000')) stored;
alter table idempotency_keys add primary key (scope, route, key);
create index on idempotency_keys (workspace_id);

-- +goose Down
delete from idempotency_keys where workspace_id is null;
alter table idempotency_keys drop column scope;
alter table idempotency_keys alter column workspace_id set not null;
alter table idempotency_keys add primary key (workspace_id, route, key);
