-- +goose Up
-- The later engine whose workers left the tune to those of the engine that began it.
alter table tunes add column left_by text check (length(left_by) <= 20);

-- +goose Down
alter table tunes drop column left_by;
