-- +goose Up
-- Two inverted indexes of River's, on the arguments and the metadata of jobs: each insert of a job and each change of its
-- state writes to both. No statement of River's, of its pages or of ours looks a job up by either; River lists jobs by a
-- fragment of their metadata for callers that ask it to, and none of ours does.
drop index if exists river_job_args_index;
drop index if exists river_job_metadata_index;

-- +goose Down
create index if not exists river_job_args_index on river_job using gin (args);
create index if not exists river_job_metadata_index on river_job using gin (metadata);
