-- +goose Up
-- Working figures of a walk-forward go when it ends. Postgres tries to compress each when it is stored, which took a fifteenth
-- of its time while folds were judged, and the numbers hardly become fewer bytes.
alter table wfo_folds alter column scores set storage external;
alter table wfo_folds alter column stretch set storage external;
alter table wfo_folds alter column top set storage external;

-- A function in SQL is planned at each call, one in PL/pgSQL once a session; three statements of each fold call this one.
-- +goose StatementBegin
create or replace function fleet_slots(queue text, lease interval) returns int
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
    return (select coalesce(sum((w.queues ->> queue)::int), 0)::int from public.workers w
             where w.beat_at > clock_timestamp() - lease);
end $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function fleet_slots(queue text, lease interval) returns int
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum((w.queues ->> queue)::int), 0)::int from public.workers w
     where w.beat_at > clock_timestamp() - lease
$$;
-- +goose StatementEnd
alter table wfo_folds alter column top set storage extended;
alter table wfo_folds alter column stretch set storage extended;
alter table wfo_folds alter column scores set storage extended;
