-- +goose Up
-- Tokens of admins, who have names: several may work at once, so that one is replaced without a refused
-- request. ADMIN_TOKEN is not among them.
create table admin_tokens (
    id           uuid primary key,
    name         text not null check (length(name) between 1 and 100), -- of the admin; not unique
    token_sha256 bytea not null unique check (length(token_sha256) = 32),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz, -- null: never
    last_used_at timestamptz, -- to the minute
    revoked_at   timestamptz
);
grant select, insert, update on admin_tokens to millrace_fleet;

-- Who signed in: a workspace's key, a named admin, or with neither the holder of ADMIN_TOKEN. The role is
-- the key's at sign-in: another role ends the session.
alter table admin_sessions
    add column key_id         uuid references api_keys on delete cascade,
    add column role           text check (role in ('viewer', 'member', 'admin', 'owner')),
    add column admin_token_id uuid references admin_tokens on delete cascade,
    add check ((key_id is null) = (role is null) and (key_id is null or admin_token_id is null));
create index on admin_sessions (key_id);
create index on admin_sessions (admin_token_id);

-- A ticket that was made with a named admin's token, and not in a session, ends with the token.
alter table event_tickets add column admin_token_id uuid references admin_tokens on delete cascade;
create index on event_tickets (admin_token_id);

-- +goose Down
alter table event_tickets drop column admin_token_id;
alter table admin_sessions drop column key_id, drop column role, drop column admin_token_id;
drop table admin_tokens;
