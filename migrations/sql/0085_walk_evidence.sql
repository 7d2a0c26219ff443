-- +goose Up
-- The verdict on a walk-forward, from its stitched out-of-sample returns. Null: it has not ended well, or an
-- older version ended it.
alter table wfo_runs add column evidence json;

-- +goose Down
alter table wfo_runs drop column evidence;
