-- +goose Up
-- What is older than a window leaves the audit log at its beginning. The head keeps the place and the hash of the last
-- entry that left, from which the chain of those that stay continues.
alter table audit_heads
    add column base_seq bigint not null default 0,
    add column base_hash bytea not null default '';
grant select, delete on audit_log to millrace_audit;

-- +goose StatementBegin
-- Takes entries of before the cutoff away, chain by chain, each from its beginning up to the first that is younger.
-- What is younger than 90 days stays whatever the cutoff, so that nobody who may call this can erase what was done
-- lately. A chain that is being written to waits for the next batch.
create function audit_forget(cutoff timestamptz, at_most int, dry_run boolean, out gone bigint, out more boolean)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    before constant timestamptz := least(cutoff, clock_timestamp() - interval '90 days');
    chain record;
    held public.audit_heads;
    upto bigint;
    n bigint;
begin
    gone := 0;
    more := false;
    for chain in
        select h.workspace_id from public.audit_heads h
          join public.audit_log first on first.workspace_id = h.workspace_id and first.seq = h.base_seq + 1
         where (first.entry::jsonb ->> 'at')::timestamptz < before
    loop
        if dry_run then
            select gone + count(*) into gone from public.audit_log l
             where l.workspace_id = chain.workspace_id and (l.entry::jsonb ->> 'at')::timestamptz < before;
            continue;
        end if;
        select * into held from public.audit_heads h where h.workspace_id = chain.workspace_id for update skip locked;
        continue when not found;
        with page as (
            select l.seq, (l.entry::jsonb ->> 'at')::timestamptz >= before as young from public.audit_log l
             where l.workspace_id = held.workspace_id and l.seq > held.base_seq order by l.seq limit at_most - gone)
        select coalesce(min(seq) filter (where young) - 1, max(seq)) into upto from page;
        continue when upto is null or upto <= held.base_seq;
        update public.audit_heads h
           set base_seq = upto,
               base_hash = (select l.hash from public.audit_log l where l.workspace_id = held.workspace_id and l.seq = upto)
         where h.workspace_id = held.workspace_id;
        delete from public.audit_log l where l.workspace_id = held.workspace_id and l.seq <= upto;
        get diagnostics n = row_count;
        gone := gone + n;
        more := gone >= at_most;
        exit when more;
    end loop;
end
$$;
-- +goose StatementEnd
grant create on schema public to millrace_audit; -- an owner has to have it when it becomes one
alter function audit_forget(timestamptz, int, boolean) owner to millrace_audit;
revoke create on schema public from millrace_audit;
revoke all on function audit_forget(timestamptz, int, boolean) from public;
grant execute on function audit_forget(timestamptz, int, boolean) to millrace_fleet;

insert into retention_rules (job_name, table_name, at_column, due, age, schedule, step) values
    ('audit_log', 'audit_log', 'seq', 'true', '1095 days', '59 3 * * *', 'audit_forget');
select retention_make_procedures();

-- +goose Down
drop procedure retention_prune_audit_log(interval, int, boolean, text, bigint, bigint);
delete from retention_job_log where job_name = 'audit_log';
delete from retention_rules where job_name = 'audit_log';
drop function audit_forget(timestamptz, int, boolean);
revoke select, delete on audit_log from millrace_audit;
alter table audit_heads drop column base_hash, drop column base_seq;
