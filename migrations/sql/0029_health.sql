-- +goose Up
-- What the health checks and the metrics ask for, in an order that makes them cheap.
create index tunes_completed on tunes (completed_at) where completed_at is not null;
create index ingest_jobs_open on ingest_jobs (created_at) where status in ('queued', 'running', 'retrying');
create index idempotency_keys_unanswered on idempotency_keys (created_at) where status is null;

-- Requests that are at work on an idempotency key now: what they claim is not committed yet, so only
-- their locks show it. Sessions of other logins hide when they began, so the owner looks.
create function open_key_claims(out claims bigint, out since timestamptz) language sql stable security definer
    set search_path = public, pg_temp as $$
    select count(distinct l.pid), min(a.xact_start)
      from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.relation = 'idempotency_keys'::regclass and l.mode = 'RowExclusiveLock' and l.pid <> pg_backend_pid()
$$;
revoke all on function open_key_claims() from public;
grant execute on function open_key_claims() to millrace_app, millrace_fleet;

-- +goose Down
drop function open_key_claims();
drop index idempotency_keys_unanswered;
drop index ingest_jobs_open;
drop index tunes_completed;
