-- +goose Up
-- Whether a webhook's receiver accepted its newest message promptly. Those that did not, and those that nobody knows yet,
-- may hold half of the fleet's slots for deliveries, so that the others are not delayed by them.
alter table webhooks add column quick boolean not null default false;

-- +goose Down
alter table webhooks drop column quick;
