-- +goose Up
-- A search that learns, and pruning, run a tune in rounds: the last shard of a round has the next one
-- planned. Shards of rung 0 are ranges that have every trial once; those of later rungs run some of
-- their trials again, and go when the tune has ended.
alter table tune_shards
    add column rung int not null default 0,
    add column open boolean not null default false, -- its trials do not end with it
    add column cost float8 not null default 1, -- of a trial, in units of one on all of its bars
    add column list bytea; -- numbers and parameters of trials that cannot be enumerated
alter table tune_shards alter column list set storage external;
-- A page of trials finds its shards by it.
create index on tune_shards (tune_id, first_trial) where rung = 0;

alter table tune_progress
    add column rounds int not null default 1,
    add column round int not null default 0, -- at work, from 0
    add column work float8, -- of all rounds, in units of cost; null: one for each trial
    add column work_done float8 not null default 0;
-- From now on this is the job that follows a round: it plans the next one, or ranks.
comment on column tune_progress.collect_job_id is 'the job after the round at work: tune.advance or tune.collect';

-- +goose Down
alter table tune_progress drop column work_done, drop column work, drop column round, drop column rounds;
drop index tune_shards_tune_id_first_trial_idx;
alter table tune_shards drop column list, drop column cost, drop column open, drop column rung;
