-- +goose Up
-- A list of the tunes that have failed read all tunes of the workspace where few have. A tune is written to this index when it ends,
-- and its status, which other indexes have too, changes then anyway; those that wait or run have indexes of their own.
create index tunes_ended on tunes (workspace_id, status, created_at desc, id desc)
 where wfo_id is null and status in ('completed', 'failed', 'canceled');

-- +goose Down
drop index tunes_ended;
