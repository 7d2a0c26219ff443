-- +goose Up
-- A name holds a series of versions, each a row of its own that never changes but for superseded. The first
-- version has the series' name, later ones that name with @ and their number, so that programs of before see
-- datasets of their own. A version that was appended keeps its last own_bars bars in data; those before them are
-- all that base_id has.
alter table datasets
    add column series text,                     -- null: the name itself
    add column version int not null default 1 check (version > 0),
    add column superseded boolean not null default false,
    add column change text not null default 'upload' check (change in ('upload', 'append', 'rewrite', 'attributes')),
    add column base_id uuid references datasets,
    add column own_bars int check (own_bars between 0 and bars), -- null: all
    add column added_bars int not null default 0,
    add column sum_state bytea,                 -- from which the content hash continues; null: it is of the form of before
    add column last_close float8,
    add column note text not null default '',
    drop constraint datasets_name_check,
    add constraint datasets_name_check check (length(name) between 1 and 120),
    add constraint datasets_base_check check ((base_id is null) = (own_bars is null));
create unique index datasets_newest on datasets (workspace_id, (coalesce(series, name))) where not superseded;
create unique index datasets_version on datasets (workspace_id, (coalesce(series, name)), version);
create index datasets_listed on datasets (workspace_id, created_at desc, id desc) where not superseded;
create index on datasets (base_id) where base_id is not null;
grant update (superseded) on datasets to millrace_app;

-- +goose Down
revoke update (superseded) on datasets from millrace_app;
drop index datasets_listed, datasets_version, datasets_newest;
delete from datasets where version > 1;
alter table datasets
    drop constraint datasets_base_check,
    drop column note, drop column last_close, drop column sum_state, drop column added_bars, drop column own_bars, drop column base_id,
    drop column change, drop column superseded, drop column version, drop column series,
    drop constraint datasets_name_check,
    add constraint datasets_name_check check (length(name) between 1 and 100);
