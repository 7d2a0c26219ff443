-- +goose Up
-- The rules by which results are made: the number of the engine, and of a script's semantics ('' when the
-- strategy is not a script). Null: made before results were stamped. The manifest is canonical JSON, written
-- with the result: what it was made of, and the hash of what was found.
alter table tunes
    add column engine text check (length(engine) between 1 and 20),
    add column semantics text check (length(semantics) <= 20),
    add column restarted_from text, -- the engine of shards that were given up
    add column manifest text,
    add column manifest_sha256 bytea check (length(manifest_sha256) = 32);
alter table tune_shards
    add column engine text,
    add column semantics text;
alter table wfo_runs
    add column engine text check (length(engine) between 1 and 20),
    add column semantics text check (length(semantics) <= 20),
    add column manifest text,
    add column manifest_sha256 bytea check (length(manifest_sha256) = 32);
alter table backtest_runs
    add column engine text check (length(engine) between 1 and 20),
    add column semantics text check (length(semantics) <= 20),
    add column manifest text,
    add column manifest_sha256 bytea check (length(manifest_sha256) = 32);
alter table workers add column engine text, add column semantics text;

-- +goose Down
alter table workers drop column semantics, drop column engine;
alter table backtest_runs drop column manifest_sha256, drop column manifest, drop column semantics, drop column engine;
alter table wfo_runs drop column manifest_sha256, drop column manifest, drop column semantics, drop column engine;
alter table tune_shards drop column semantics, drop column engine;
alter table tunes drop column manifest_sha256, drop column manifest, drop column restarted_from, drop column semantics, drop column engine;
