-- +goose Up
-- What each caller was admitted to lately. Unlogged: a commit waits for no disk, and a crash of the
-- server forgives what was counted.
create unlogged table rate_limits (
    key    text primary key, -- the limit and whom it holds for
    head   bigint not null,  -- the newest slice: seconds divided by the slices' width
    counts int[] not null,   -- admitted in each of the last 61 slices, oldest first
    idle_at timestamptz not null -- from then on the row counts nothing
) with (fillfactor = 50);

-- The row as it is when the given slice is the newest. A clock that was set back changes nothing.
-- +goose StatementBegin
create function rate_limit_at(held rate_limits, slice bigint) returns rate_limits
    language plpgsql immutable as $$
declare
    passed int := least(greatest(slice - held.head, 0), 61);
begin
    held.head := greatest(held.head, slice);
    held.counts := held.counts[passed + 1 :] || array_fill(0, array[passed]);
    return held;
end
$$;

-- Admits one more within a sliding window, or not. The window is cut into 60 slices and 61 are
-- counted, so that no window of the given length, wherever it begins, holds more than the limit; the
-- price is that a unit comes back up to a sixtieth late. Who is over the limit is told so from a look
-- without a lock: only those who may get in queue for the row, and of them there are no more than
-- the limit lets in. wait_seconds is how long until the next unit comes back.
create function rate_limit_take(who text, most int, window_seconds float8,
                                out admitted boolean, out remaining int, out wait_seconds float8)
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    width constant float8 := window_seconds / 60;
    held  rate_limits;
    at    float8;
    used  int;
    back  int;
begin
    admitted := false;
    for attempt in 1 .. 2 loop
        if attempt = 1 then
            select * into held from rate_limits where key = who;
        else
            loop
                select * into held from rate_limits where key = who for update;
                exit when found;
                insert into rate_limits values (who, 0, array_fill(0, array[61]), 'infinity')
                on conflict do nothing;
            end loop;
        end if;
        at := extract(epoch from clock_timestamp());
        if found then
            held := rate_limit_at(held, floor(at / width)::bigint);
            used := (select sum(n) from unnest(held.counts) n);
            exit when used >= most;
        end if;
        continue when attempt = 1;
        admitted := true;
        used := used + 1;
        held.counts[61] := held.counts[61] + 1;
        update rate_limits
           set head = held.head, counts = held.counts, idle_at = to_timestamp((held.head + 61) * width)
         where key = who;
    end loop;
    remaining := greatest(most - used, 0);
    back := (select min(slice)
               from (select slice, sum(n) over (order by slice) as freed
                       from unnest(held.counts) with ordinality u (n, slice)) s
              where freed > greatest(used - most, 0));
    wait_seconds := greatest((held.head + coalesce(back, 61)) * width - at, 0);
end
$$;
-- +goose StatementEnd

-- Forgets whom nothing is counted for any more.
create function rate_limit_forget() returns bigint
    language sql security definer set search_path = public, pg_temp as $$
    with gone as (delete from rate_limits where idle_at < clock_timestamp() returning 1)
    select count(*) from gone
$$;
revoke all on function rate_limit_take(text, int, float8), rate_limit_forget() from public;
grant execute on function rate_limit_take(text, int, float8), rate_limit_forget() to millrace_app, millrace_fleet;

-- +goose Down
drop function rate_limit_forget();
drop function rate_limit_take(text, int, float8);
drop function rate_limit_at(rate_limits, bigint);
drop table rate_limits;
