-- +goose Up
-- What failed of its own input, as of a source that is refused, would fail again: no retry is offered.
alter table tunes add column final boolean not null default false;
alter table wfo_runs add column final boolean not null default false;
alter table ingest_jobs add column final boolean not null default false;

-- +goose Down
alter table ingest_jobs drop column final;
alter table wfo_runs drop column final;
alter table tunes drop column final;
