-- +goose Up
-- Single backtests are archived like tunes, and then retention keeps them.
alter table backtest_runs add column archived_at timestamptz;
grant update (archived_at) on backtest_runs to millrace_app;

-- +goose StatementBegin
create or replace function retention_backtest_runs(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
begin
    more := false;
    if dry_run then
        select count(*) into gone from backtest_runs r where r.created_at < cutoff and r.deleted_at is null and r.archived_at is null;
        return;
    end if;
    delete from backtest_runs where ctid = any (array(
        select ctid from backtest_runs r where r.created_at < cutoff and r.deleted_at is null and r.archived_at is null
         order by r.created_at limit least(at_most, 25) for update skip locked));
    get diagnostics gone = row_count;
    more := gone > 0;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function retention_backtest_runs(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql set search_path = public, pg_temp as $$
begin
    more := false;
    if dry_run then
        select count(*) into gone from backtest_runs r where r.created_at < cutoff and r.deleted_at is null;
        return;
    end if;
    delete from backtest_runs where ctid = any (array(
        select ctid from backtest_runs r where r.created_at < cutoff and r.deleted_at is null
         order by r.created_at limit least(at_most, 25) for update skip locked));
    get diagnostics gone = row_count;
    more := gone > 0;
end
$$;
-- +goose StatementEnd
revoke update (archived_at) on backtest_runs from millrace_app;
alter table backtest_runs drop column archived_at;
