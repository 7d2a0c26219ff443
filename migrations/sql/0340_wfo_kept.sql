-- +goose Up
-- Of trials_done, from before the last retry: the pace of a walk-forward that runs again is that of what it has run since.
alter table wfo_progress add column trials_kept bigint not null default 0;

-- +goose Down
alter table wfo_progress drop column trials_kept;
