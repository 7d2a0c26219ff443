-- +goose Up
-- The last event that reported a key's end: the days before it that were left, of those there are events for, or 0 once it
-- has come; null: none.
alter table api_keys add column end_noted smallint;

-- +goose Down
alter table api_keys drop column end_noted;
