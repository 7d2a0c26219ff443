-- +goose Up
-- People whom an OpenID provider signs in to the console. Each is a key of the workspace, or a token of an admin, whose
-- secret nobody has: it is listed, audited and revoked as others are, and ends with the session that it is for.
alter table api_keys add column subject text check (length(subject) between 1 and 600); -- null: a secret opens it
alter table admin_tokens add column subject text check (length(subject) between 1 and 600);
create unique index api_keys_subject on api_keys (workspace_id, subject) where subject is not null and revoked_at is null;
create unique index admin_tokens_subject on admin_tokens (subject) where subject is not null and revoked_at is null;

-- Sign-ins that have begun at the provider. The digest is of what the browser keeps and of what the provider gives back;
-- a row is used once.
create table sign_ins (
    digest     bytea primary key check (length(digest) = 32),
    next       text not null check (length(next) between 1 and 2000), -- where to go then
    expires_at timestamptz not null
);
create index on sign_ins (expires_at);
grant select, insert, delete on sign_ins to millrace_fleet;

-- +goose Down
drop table sign_ins;
drop index admin_tokens_subject, api_keys_subject;
alter table admin_tokens drop column subject;
alter table api_keys drop column subject;
