package storetest

import (
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// WorkspaceTables lists every table that has a workspace_id, from the catalogue: also those that are made tomorrow.
func (d *Fixture) WorkspaceTables() []string {
	d.T.Helper()
	rows, err := d.Owner.Query(d.T.Context(), `
		select c.table_name from information_schema.columns c
		  join pg_class p on p.oid = format('%I.%I', c.table_schema, c.table_name)::regclass and p.relkind in ('r', 'p') and not p.relispartition
		 where c.table_schema = 'public' and c.column_name = 'workspace_id' order by 1`)
	require.NoError(d.T, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.T, err)
	return tables
}

// RowsOf counts a workspace's rows in a table.
func (d *Fixture) RowsOf(table string, workspace uuid.UUID) int {
	d.T.Helper()
	return d.Count(`select count(*) from `+table+` where workspace_id = $1`, workspace)
}

// FillEveryTable has the workspace have a row in every table that has a workspace_id, whose references hold and whose
// other values mean nothing: checks and triggers of the database are dropped first.
func (d *Fixture) FillEveryTable(workspace uuid.UUID) {
	d.T.Helper()
	d.Exec(`
		do $$
		declare found record;
		begin
			for found in select conrelid::regclass as of, conname from pg_constraint
			              where contype = 'c' and connamespace = 'public'::regnamespace and coninhcount = 0 loop
				execute format('alter table %s drop constraint %I', found.of, found.conname);
			end loop;
			for found in select c.oid::regclass as of from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'river_job' loop
				execute format('alter table %s disable trigger user', found.of);
			end loop;
		end $$`)
	d.Exec(`insert into vector_collections (name, dimensions) values ('every table', 1) on conflict do nothing`)
	for todo := d.WorkspaceTables(); len(todo) > 0; {
		var wait []string
		for _, table := range todo {
			if d.RowsOf(table, workspace) == 0 && !d.fill(table, workspace) {
				wait = append(wait, table) // for what it refers to
			}
		}
		require.Less(d.T, len(wait), len(todo), "tables that refer to each other cannot be filled: %v", wait)
		todo = wait
	}
}

// fill adds a row with a value in every column that has to have one, unless a table that it refers to is empty.
func (d *Fixture) fill(table string, workspace uuid.UUID) bool {
	d.T.Helper()
	rows, err := d.Owner.Query(d.T.Context(), `
		select quote_ident(a.attname) as name, t.typname as type, t.typcategory::text as category,
		       coalesce(f.confrelid::regclass::text, '') as refers, coalesce(quote_ident(r.attname), '') as to,
		       exists (select from pg_attribute w where w.attrelid = f.confrelid and w.attname = 'workspace_id') as own
		  from pg_attribute a join pg_type t on t.oid = a.atttypid
		  left join pg_constraint f on f.conrelid = a.attrelid and f.contype = 'f' and a.attnum = any (f.conkey)
		  left join pg_attribute r on r.attrelid = f.confrelid and r.attnum = f.confkey[array_position(f.conkey, a.attnum)]
		 where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attname <> 'workspace_id'
		   and a.attnotnull and not a.atthasdef and a.attidentity = ''`, table)
	require.NoError(d.T, err)
	type column struct {
		Name, Type, Category, Refers, To string
		Own                              bool
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByName[column])
	require.NoError(d.T, err)
	names, values := []string{"workspace_id"}, []string{"$1::uuid"}
	for _, c := range columns {
		value := map[string]string{
			"uuid": "gen_random_uuid()", "text": "md5(random()::text)", "varchar": "md5(random()::text)", "bytea": "decode(md5(random()::text), 'hex')",
			"jsonb": "'{}'", "json": "'{}'", "xid8": "'1'", "tsvector": "''",
		}[c.Type]
		switch {
		case c.Refers != "":
			of := ""
			if c.Own {
				of = " where workspace_id = $1"
			}
			value = "(select " + c.To + " from " + c.Refers + of + " limit 1)"
			var there bool
			require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), "select $1::uuid is not null and exists "+value, workspace).Scan(&there))
			if !there {
				return false
			}
		case value != "":
		case c.Category == "N":
			value = "1"
		case c.Category == "B":
			value = "false"
		case c.Category == "D":
			value = "clock_timestamp()"
		case c.Category == "T":
			value = "'1 hour'"
		case c.Category == "A":
			value = "'{}'"
		}
		require.NotEmpty(d.T, value, "no value for %s.%s of type %s: add one", table, c.Name, c.Type)
		names, values = append(names, c.Name), append(values, value)
	}
	d.Exec(`insert into `+table+` (`+strings.Join(names, ", ")+`) values (`+strings.Join(values, ", ")+`)`, workspace)
	return true
}
