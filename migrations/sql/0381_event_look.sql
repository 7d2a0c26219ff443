-- +goose Up
-- Each look at the log read all locks of the server, to learn which running transactions may yet write events. Most looks
-- need not: whatever lies before the first transaction that runs is there, whether it writes events or not, and where there
-- is an event among that, it is read. Locks are read only when there are events and none of them lies before that
-- transaction: it may be one that writes none and runs for long. A look that finds nothing behind its place reads no locks
-- either. Plans are kept, and are those of a long log also where they are made while it is short.
-- +goose StatementBegin
create or replace function event_log_next(after_xid xid8, after_row bigint, most_rows int, most_events bigint)
    returns table (xid xid8, id bigint, at timestamptz, workspace_id uuid, topic text, type text, entity_id text,
                   job_ids bigint[], payload jsonb)
    language plpgsql volatile set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_sort = off as $$
#variable_conflict use_column
declare
    upto_xid xid8;
    upto_row bigint := 0;
    first    xid8;
begin
    -- In a statement of its own, as the bound: what lies before it is visible to the next.
    upto_xid := pg_snapshot_xmin(pg_current_snapshot());
    select l.xid into first from event_log l where (l.xid, l.id) > (after_xid, after_row) order by l.xid, l.id limit 1;
    if first is null then -- what is left of the place's own row
        upto_xid := after_xid;
        upto_row := after_row + 1;
    elsif first >= upto_xid then
        select b.xid, b.id into upto_xid, upto_row from event_log_bound() b;
    end if;
    return query
    select c.xid, c.id, c.at, c.workspace_id, c.topic, c.type, c.entity_id, c.job_ids, c.payload
      from (select r.*, sum(r.n) over (order by r.xid, r.id rows unbounded preceding) - r.n as ahead
              from (select l.*, coalesce(cardinality(l.job_ids), 1) as n from event_log l
                     where (l.xid, l.id) >= (after_xid, after_row) and (l.xid, l.id) < (upto_xid, upto_row)
                     order by l.xid, l.id limit most_rows) r) c
     where c.ahead < most_events
     order by c.xid, c.id;
end
$$;
-- +goose StatementEnd
alter function event_log_bound() set plan_cache_mode = force_generic_plan;

-- +goose Down
alter function event_log_bound() reset plan_cache_mode;
-- +goose StatementBegin
create or replace function event_log_next(after_xid xid8, after_row bigint, most_rows int, most_events bigint)
    returns table (xid xid8, id bigint, at timestamptz, workspace_id uuid, topic text, type text, entity_id text,
                   job_ids bigint[], payload jsonb)
    language plpgsql volatile as $$
#variable_conflict use_column
declare
    upto record;
begin
    select b.xid, b.id into upto from event_log_bound() b;
    return query
    select c.xid, c.id, c.at, c.workspace_id, c.topic, c.type, c.entity_id, c.job_ids, c.payload
      from (select r.*, sum(r.n) over (order by r.xid, r.id rows unbounded preceding) - r.n as ahead
              from (select l.*, coalesce(cardinality(l.job_ids), 1) as n from event_log l
                     where (l.xid, l.id) >= (after_xid, after_row) and (l.xid, l.id) < (upto.xid, upto.id)
                     order by l.xid, l.id limit most_rows) r) c
     where c.ahead < most_events
     order by c.xid, c.id;
end
$$;
-- +goose StatementEnd
