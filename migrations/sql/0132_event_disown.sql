-- +goose Up
-- The first transaction that has not completed was read by one statement, and the events from it on were
-- deleted by the next: events that were committed between the two went with the foreign ones, and the floor
-- that moved up reset every reader. One statement looks at both. An event's place is at most the last
-- completed transaction's at its own commit, so no event of this server lies above what the same look knows.
-- +goose StatementBegin
create or replace function event_log_disown() returns void language sql as $$
    with ahead as (
        delete from event_log where xid >= pg_snapshot_xmax(pg_current_snapshot())
        returning 1
    )
    update event_epoch set floor_xid = pg_snapshot_xmax(pg_current_snapshot())
     where exists (select from ahead);
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function event_log_disown() returns void language plpgsql as $$
declare
    next xid8 := pg_snapshot_xmax(pg_current_snapshot());
begin
    delete from event_log where xid >= next;
    if found then
        update event_epoch set floor_xid = next;
    end if;
end
$$;
-- +goose StatementEnd
