-- +goose Up
-- A run plan is one tune body with overrides: its variants are ordinary tunes.
create table run_plans (
    id              uuid primary key,
    workspace_id    uuid not null references workspaces on delete cascade,
    name            text not null default '' check (length(name) <= 100),
    -- Guards the plan for as long as it is kept, where idempotency_keys forgets after a week.
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    fingerprint     bytea check (length(fingerprint) = 32),
    base            json not null, -- the tune body every variant starts from
    plan            json not null, -- overrides, grid and ablations as asked
    status          text not null default 'running'
                    check (status in ('running', 'completed', 'partial', 'failed', 'canceled')),
    variants        int not null check (variants between 1 and 1000),
    variants_done   int not null default 0,   -- ended, whatever the status
    variants_failed int not null default 0,   -- of them failed or canceled
    created_at      timestamptz not null default now(),
    completed_at    timestamptz
);
create unique index on run_plans (workspace_id, idempotency_key) where idempotency_key is not null;
create index on run_plans (workspace_id, created_at desc, id desc);
alter table run_plans enable row level security, force row level security;
create policy tenant on run_plans to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on run_plans to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on run_plans to millrace_app;
grant select, update, delete on run_plans to millrace_fleet;

create table run_plan_variants (
    run_plan_id  uuid not null references run_plans on delete cascade,
    ordinal      int not null, -- the baseline is 0
    workspace_id uuid not null,
    variant_id   text not null check (variant_id ~ '^[0-9a-f]{16}$'),
    kind         text not null check (kind in ('baseline', 'override', 'grid', 'ablation')),
    label        text not null,
    overrides    json not null,
    tune_id      uuid not null references tunes on delete cascade,
    primary key (run_plan_id, ordinal),
    unique (run_plan_id, variant_id)
);
create unique index on run_plan_variants (tune_id);
alter table run_plan_variants enable row level security, force row level security;
create policy tenant on run_plan_variants to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on run_plan_variants to millrace_fleet using (true) with check (true);
grant select, insert, delete on run_plan_variants to millrace_app;
grant select, delete on run_plan_variants to millrace_fleet;

-- The trail of what was run and traded. RUN_* rows are breadcrumbs that retention prunes unless
-- they are pinned; every other type is kept for ever. No foreign key: a breadcrumb outlives its plan.
create table trade_events (
    id           uuid primary key,
    workspace_id uuid not null references workspaces on delete cascade,
    run_plan_id  uuid,
    event_type   text not null check (event_type ~ '^[A-Z][A-Z0-9_]{0,63}$'),
    pinned       boolean not null default false,
    payload      jsonb not null default '{}',
    created_at   timestamptz not null default clock_timestamp()
);
create index on trade_events (run_plan_id, created_at, id) where run_plan_id is not null;
create index on trade_events (workspace_id, created_at, id);
create index trade_events_prunable on trade_events (created_at)
    where event_type like 'RUN\_%' and not pinned;
alter table trade_events enable row level security, force row level security;
create policy tenant on trade_events to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on trade_events to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on trade_events to millrace_app;
grant select, insert, delete on trade_events to millrace_fleet;

-- What the bars were like when a tune's parameters were chosen, schema regime_v1_1; null until the
-- tune is completed.
alter table tunes add column regime jsonb;

-- +goose Down
alter table tunes drop column regime;
drop table trade_events;
drop table run_plan_variants;
drop table run_plans;
