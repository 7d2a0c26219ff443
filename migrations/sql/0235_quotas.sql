-- +goose Up
-- What a workspace may have: trials submitted on a day of the database's clock, in UTC, and how many it has submitted;
-- bytes stored; datasets by name; documents. Null is any. Trials are counted where they are limited only, so that
-- submissions of other workspaces do not wait for one row.
alter table workspaces
    add column trials_per_day bigint check (trials_per_day between 1 and 1000000000000),
    add column trials_day     date,
    add column trials_used    bigint not null default 0,
    add column max_bytes      bigint check (max_bytes between 1 and 1000000000000000),
    add column max_datasets   int check (max_datasets >= 1),
    add column max_documents  int check (max_documents >= 1);
grant update (trials_day, trials_used) on workspaces to millrace_app;
-- Of its passages; null: it was stored before this, and is taken for four bytes a token.
alter table documents add column bytes bigint;

-- +goose Down
alter table documents drop column bytes;
revoke update (trials_day, trials_used) on workspaces from millrace_app;
alter table workspaces drop column max_documents, drop column max_datasets, drop column max_bytes,
    drop column trials_used, drop column trials_day, drop column trials_per_day;
