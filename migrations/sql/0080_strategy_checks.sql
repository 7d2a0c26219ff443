-- +goose Up
-- A script is examined by a job: until it has ended the version is checking, and refused when it may not be tuned.
alter table strategies
    add column check_job_id bigint,
    add column checked_at timestamptz,
    drop constraint strategies_status_check,
    add constraint strategies_status_check check (status in ('checking', 'ready', 'refused', 'unstable')),
    add constraint strategies_check_job_check check (status <> 'checking' or check_job_id is not null);
create index on strategies (check_job_id) where status = 'checking';
-- What a version is never changes: what is known of it does, and whether it is erased.
grant update (report, status, check_job_id, checked_at) on strategies to millrace_app;

-- +goose Down
drop index strategies_check_job_id_idx;
revoke update (report, status, check_job_id, checked_at) on strategies from millrace_app;
update strategies set status = case status when 'checking' then 'ready' else 'unstable' end where status in ('checking', 'refused');
alter table strategies
    drop constraint strategies_check_job_check,
    drop constraint strategies_status_check,
    drop column check_job_id, drop column checked_at,
    add constraint strategies_status_check check (status in ('ready', 'unstable'));
