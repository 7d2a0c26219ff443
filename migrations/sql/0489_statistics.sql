-- +goose Up
-- Autovacuum looks at a database once a minute. Until it has, a table that is new, was restored, or was almost empty when it looked
-- last has plans for a few rows: the count of a workspace's open tunes may then read all its tunes, at each submission. Workers
-- call this every few seconds. Statistics end the plans that were made without them. A table is not looked at again until it
-- has four times the pages, so a busy one does not have its plans ended often; what changes without growth is left to
-- autovacuum. The table of jobs has a threshold of its own.
--
-- It analyses the largest such table, and returns its name; nothing when none is left, or while another session does this.
-- +goose StatementBegin
create function collect_statistics() returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    name  text;
    place regclass;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('millrace statistics', 0)) then
        return null;
    end if;
    select s.relname, s.relid into name, place
      from pg_stat_user_tables s join pg_class c on c.oid = s.relid
     where s.schemaname = 'public' and c.relkind = 'r' and pg_has_role(c.relowner, 'usage')
       and s.n_mod_since_analyze >= coalesce((select option_value::bigint from pg_options_to_table(c.reloptions)
                                               where option_name = 'autovacuum_analyze_threshold'), 50)
       and (s.last_analyze is null and s.last_autoanalyze is null
            or pg_relation_size(c.oid) / current_setting('block_size')::int > 4 * greatest(c.relpages, 2))
     order by c.relpages desc, s.n_mod_since_analyze desc limit 1;
    if name is not null then
        execute format('analyze (skip_locked) %s', place); -- autovacuum may hold it just now
    end if;
    return name;
end
$$;
-- +goose StatementEnd
revoke all on function collect_statistics() from public;
grant execute on function collect_statistics() to millrace_fleet;

-- +goose Down
drop function collect_statistics();
