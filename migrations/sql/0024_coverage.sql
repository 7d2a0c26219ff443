-- +goose Up
-- One row a recommendation or match. A weak one is a gap in what the workspace knows, and is
-- triaged; any other is born resolved, so that "resolved" is all that retention has to ask for.
create table match_runs (
    id               uuid primary key,
    workspace_id     uuid not null references workspaces on delete cascade,
    kind             text not null check (kind in ('recommend', 'query')),
    intent           text not null check (length(intent) between 1 and 2000), -- what was asked, for people
    intent_signature bytea not null check (length(intent_signature) = 32),
    request          json not null,
    status           text not null check (status in ('ok', 'degraded', 'none')),
    confidence       float8,
    candidates       int not null,
    best_score       float8 not null check (best_score between 0 and 1),
    reason_codes     text[] not null default '{}',
    weak             boolean not null,
    priority         float8 not null default 0, -- less what is added while the gap is young
    coverage_status  text not null default 'open' check (coverage_status in ('open', 'acknowledged', 'resolved')),
    -- Why it is resolved: it was never weak, repeats an open gap, was given a candidate or a note,
    -- or was matched well later.
    resolution       text check (resolution in ('covered', 'duplicate', 'candidate', 'note', 'matched')),
    duplicate_of     uuid references match_runs on delete set null,
    seen             int not null default 1, -- runs of this intent while the gap is open
    last_seen_at     timestamptz not null default now(),
    candidate_type   text check (candidate_type in ('tune', 'document')),
    candidate_id     uuid,
    note             text check (length(note) <= 2000),
    acknowledged_at  timestamptz,
    acknowledged_by  text,
    resolved_at      timestamptz,
    resolved_by      text, -- 'system' when a later match resolved it
    created_at       timestamptz not null default now(),
    check ((coverage_status = 'resolved') = (resolved_at is not null)),
    check ((coverage_status = 'resolved') = (resolution is not null))
);
create unique index match_runs_open on match_runs (workspace_id, intent_signature)
    where weak and coverage_status <> 'resolved';
create index on match_runs (workspace_id, created_at desc, id desc);
create index on match_runs (created_at) where coverage_status = 'resolved';
create index on match_runs (duplicate_of) where duplicate_of is not null;
alter table match_runs enable row level security, force row level security;
create policy tenant on match_runs to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on match_runs to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on match_runs to millrace_app, millrace_fleet;

-- Calls to language models by minute, of the whole fleet: what health tells is then true after a
-- restart too. A call that was never made, as no model is set up, counts as well.
create table llm_minutes (
    minute      timestamptz not null,
    provider    text not null,
    model       text not null,
    reason_code text not null, -- empty: it answered
    calls       int not null,
    last_at     timestamptz not null,
    primary key (minute, provider, model, reason_code)
);
grant select, insert, update, delete on llm_minutes to millrace_app, millrace_fleet;

-- +goose Down
drop table llm_minutes;
drop table match_runs;
