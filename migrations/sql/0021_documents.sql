-- +goose Up
-- Revisions rise over all documents: those of an attempt that came to nothing are never used again.
create sequence document_revision_seq;
grant usage on sequence document_revision_seq to millrace_app, millrace_fleet;

create table documents (
    id            uuid primary key,
    workspace_id  uuid not null references workspaces on delete cascade,
    source_type   text not null check (source_type in ('youtube', 'pdf', 'article', 'pine', 'text', 'dataset')),
    canonical_url text not null check (octet_length(canonical_url) between 1 and 2000),
    title         text not null default '',
    author        text not null default '',
    published_at  timestamptz,
    metadata      jsonb not null default '{}',
    sha256        bytea check (length(sha256) = 32), -- of text and metadata as they were extracted
    -- 0 until the first ingestion has ended well: there are no chunks yet, and lists leave it out.
    revision      bigint not null default 0,
    chunks        int not null default 0,
    tokens        int not null default 0,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    unique (workspace_id, source_type, canonical_url)
);
create index on documents (workspace_id, created_at desc, id desc);
alter table documents enable row level security, force row level security;
create policy tenant on documents to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on documents to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on documents to millrace_app, millrace_fleet;

-- Replaced as a whole in one transaction, so that a reader never sees half a document.
create table chunks (
    id           uuid primary key,
    workspace_id uuid not null,
    document_id  uuid not null references documents on delete cascade,
    revision     bigint not null,
    idx          int not null,
    position     jsonb not null default '{}', -- page, line or second, and the heading above
    text         text not null,
    tokens       int not null,
    search       tsvector not null, -- title and heading weigh A, text weighs D
    unique (document_id, idx)
);
create index on chunks using gin (search);
create index on chunks (workspace_id, id);
alter table chunks enable row level security, force row level security;
create policy tenant on chunks to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on chunks to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on chunks to millrace_app, millrace_fleet;

-- +goose Down
drop table chunks;
drop table documents;
drop sequence document_revision_seq;
