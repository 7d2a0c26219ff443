-- +goose Up
-- Autovacuum looks at a database once a minute. Until it has, a table that is new, was restored, or was almost empty when it looked
-- last has plans for a few rows: the count of a workspace's open tunes may then read all its tunes, at each submission. Workers
-- call this every few seconds. Statistics end the plans that were made without them. A table is not looked at again until it
-- has four times the pages, so a busy one does not have its plans ended often; what changes without growth is left to
-- autovacuum. The table of jobs has a threshold of its own. So are tables of more than 64 MB, whose plans are not for a few rows:
-- to analyse them takes seconds in which migrations wait, and all of them have no counts after a crash.
--
-- It analyses the largest such table that nobody holds, and returns its name; nothing when none is left, or while another session
-- does this.
-- +goose StatementBegin
create function collect_statistics() returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    candidate record;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('millrace statistics', 0)) then
        return null;
    end if;
    for candidate in
        select s.relname as name, s.relid::regclass as place
          from pg_stat_user_tables s join pg_class c on c.oid = s.relid
         where s.schemaname = 'public' and c.relkind = 'r' and pg_has_role(c.relowner, 'usage')
           and s.n_mod_since_analyze >= coalesce((select option_value::bigint from pg_options_to_table(c.reloptions)
                                                   where option_name = 'autovacuum_analyze_threshold'), 50)
           and pg_relation_size(c.oid) <= 64 * 1024 * 1024
           and (s.last_analyze is null and s.last_autoanalyze is null
                or pg_relation_size(c.oid) / current_setting('block_size')::int > 4 * greatest(c.relpages, 2))
         order by c.relpages desc, s.n_mod_since_analyze desc
    loop
        begin -- autovacuum may hold it just now
            execute format('lock table %s in share update exclusive mode nowait', candidate.place);
            execute format('analyze %s', candidate.place);
            return candidate.name;
        exception when lock_not_available then
            continue;
        end;
    end loop;
    return null;
end
$$;
-- +goose StatementEnd
revoke all on function collect_statistics() from public;
grant execute on function collect_statistics() to millrace_fleet;

-- +goose Down
drop function collect_statistics();
