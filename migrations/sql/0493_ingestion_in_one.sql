-- +goose Up
-- An ingestion of an address that the workspace has no document of is submitted in one round trip, as what only joins a queue
-- (queue_submission): this begins its transaction, all its rows are sent with it, and it returns nothing but the transaction's time.
-- It fails where the key is taken, where the document is there, or its workspace may have only so many, and where others who enter
-- might reach the depth. Then the transaction begins again with open_submission, whose locks this takes in the same order.
-- +goose StatementBegin
create function queue_ingestion(space uuid, of_route text, of_key text, wait_ms int, depth int, source_type text, canonical_url text)
returns timestamptz language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    said text; -- by a function that is called for what it does
    open int;
begin
    said := pg_advisory_xact_lock_shared(hashtextextended('millrace change ' || space::text, 0));
    said := set_config('millrace.workspace', space::text, true);
    if of_key <> '' then
        if not pg_try_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) then
            said := current_setting('lock_timeout');
            perform set_config('lock_timeout', wait_ms::text, true);
            perform pg_advisory_xact_lock(1835625583, hashtext(space::text || ' ' || of_route || ' ' || of_key)) as lock_of_idempotency_keys;
            perform set_config('lock_timeout', said, true);
        end if;
    end if;
    -- A document that another makes meanwhile is met by the insert, which waits for the other.
    perform from workspaces w
      where w.id = space and w.max_documents is null
        and not exists (select from idempotency_keys k where k.scope = space and k.route = of_route and k.key = of_key)
        and not exists (select from documents d
                         where d.workspace_id = space and d.source_type = queue_ingestion.source_type and d.canonical_url = queue_ingestion.canonical_url)
        for key share of w;
    if not found then
        raise exception 'the ingestion is not of a new document, or not new' using errcode = 'MR004';
    end if;
    if depth > 0 then -- every branch has an index of open rows only, so that a long history costs nothing
        said := pg_advisory_xact_lock_shared(hashtextextended('millrace admission ' || space::text, 0));
        select count(*) into open from (
            select from tunes t where t.workspace_id = space and not t.admitted and t.status = 'queued' and t.wfo_id is null
            union all
            select from tunes t where t.workspace_id = space and t.admitted and t.status in ('queued', 'running') and t.wfo_id is null
            union all
            select from wfo_runs r where r.workspace_id = space and r.status in ('pending', 'running')
            union all
            select from ingest_jobs i where i.workspace_id = space and i.status in ('queued', 'running', 'retrying')
             limit depth) o;
        if open + current_setting('max_connections')::int > depth then
            raise exception 'the ingestion might exceed the depth' using errcode = 'MR004';
        end if;
    end if;
    return now();
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function queue_ingestion;
