-- +goose Up
-- Subscriptions to a workspace's events that are posted to an address, in order. Each has a place of its own in the
-- log, which moves after what lies before it was accepted.
create table webhooks (
    id                uuid primary key,
    workspace_id      uuid not null references workspaces on delete cascade,
    url               text not null,
    description       text not null default '',
    topics            text[] not null default '{}', -- empty: all; so are the three below
    types             text[] not null default '{}', -- whole, or up to a .* at the end
    entity            text not null default '',
    label             text not null default '', -- a tag of what the event is about
    state             text not null default 'active' check (state in ('active', 'paused', 'dead', 'gone')),
    secret            bytea not null, -- sealed with a key that the database does not have
    old_secret        bytea,          -- signs too, until old_until
    old_until         timestamptz,
    epoch             bigint not null, -- with xid and event_id the place in the log
    xid               xid8 not null,
    event_id          bigint not null,
    reset_id          text, -- of the message that is due because events were lost
    job_id            bigint, -- the River job that delivers, or did
    attempts          int not null default 0, -- that failed in a row
    failing_since     timestamptz,
    retry_at          timestamptz,
    last_error        text,
    last_status       int,
    last_delivered_at timestamptz,
    delivered         bigint not null default 0,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
) with (fillfactor = 70);
create index on webhooks (workspace_id, created_at desc, id desc);
create index on webhooks (id) where state = 'active';
alter table webhooks enable row level security, force row level security;
create policy tenant on webhooks to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on webhooks to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on webhooks to millrace_app;
grant select, update on webhooks to millrace_fleet;

-- The newest attempts at each: one row a message, whose id receivers know repeats by.
create table webhook_deliveries (
    webhook_id   uuid not null references webhooks on delete cascade,
    message_id   text not null,
    workspace_id uuid not null,
    seq          bigint generated always as identity,
    kind         text not null check (kind in ('event', 'reset', 'test')),
    topic        text not null default '',
    type         text not null,
    entity_id    text not null default '',
    event_at     timestamptz not null,
    state        text not null check (state in ('pending', 'delivered', 'retrying', 'failed')),
    attempts     int not null default 0,
    status       int, -- of the last answer
    error        text,
    took_ms      int,
    attempted_at timestamptz,
    primary key (webhook_id, message_id)
);
create index on webhook_deliveries (webhook_id, seq desc);
alter table webhook_deliveries enable row level security, force row level security;
create policy tenant on webhook_deliveries to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on webhook_deliveries to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on webhook_deliveries to millrace_app, millrace_fleet;

-- +goose Down
drop table webhook_deliveries;
drop table webhooks;
