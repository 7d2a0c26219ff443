package migrations_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// shared are the tables that every workspace's sessions may read whole, with the reason why.
var shared = map[string]string{
	"counters_place": "how far the counters are", "event_epoch": "which log it is",
	"llm_minutes": "counts of the fleet's calls", "vector_collections": "models and dimensions, no vectors",
	"millrace_migration": "for readiness", "river_migration": "for readiness", "retention_rules": "the same for all",
	"river_leader": "River's", "river_queue": "River's", "river_notification": "River's",
}

// tenantTable is a table of the catalogue whose rows are workspaces'.
type tenantTable struct {
	Name   string
	Owner  string   // the column that names the workspace
	Keys   []string // what an insert must give beside it
	Values []string // expressions for them
	Update string   // a column that a tenant may write; "": none
	Move   bool     // a tenant may write the owner's column
	Insert bool
	Delete bool
	Null   bool // rows may be nobody's
}

// tenantTables reads them off the catalogue and takes out of the way what has nothing to do with who
// may see a row: checks, references, triggers and columns that must be given.
func tenantTables(t *testing.T, owner *pgxpool.Pool) []tenantTable {
	t.Helper()
	rows, err := owner.Query(t.Context(), `
		select c.relname::text, a.attname::text, not a.attnotnull
		  from pg_class c join pg_attribute a on a.attrelid = c.oid
		   and a.attname = case c.relname when 'workspaces' then 'id' else 'workspace_id' end
		 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
		 order by 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (tt tenantTable, err error) {
		return tt, row.Scan(&tt.Name, &tt.Owner, &tt.Null)
	})
	require.NoError(t, err)
	for _, table := range tables {
		loosen(t, owner, table.Name)
	}
	for i := range tables {
		tables[i].look(t, owner)
	}
	return tables
}

func loosen(t *testing.T, owner *pgxpool.Pool, table string) {
	t.Helper()
	rows, err := owner.Query(t.Context(), `
		select format('alter table %I drop constraint if exists %I cascade', $1::text, conname) from pg_constraint
		 where conrelid = $1::text::regclass and contype in ('c', 'f', 'u', 'x') and conparentid = 0
		union all
		select format('alter table %I alter column %I drop not null', $1::text, a.attname) from pg_attribute a
		 where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attnotnull and a.attidentity = ''
		   and not exists (select from pg_index i where i.indrelid = a.attrelid and i.indisprimary and a.attnum = any(i.indkey))
		union all
		select format('drop index if exists %I', i.indexrelid::regclass::text) from pg_index i
		 where i.indrelid = $1::text::regclass and i.indisunique and not i.indisprimary
		union all
		select format('alter table %I disable trigger user', $1::text)`, table)
	require.NoError(t, err)
	commands, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, command := range commands {
		_, err := owner.Exec(t.Context(), command)
		require.NoError(t, err, command)
	}
}

// look finds what an insert needs and what a tenant may do.
func (tt *tenantTable) look(t *testing.T, owner *pgxpool.Pool) {
	t.Helper()
	var columns, types []string
	err := owner.QueryRow(t.Context(), `
		select coalesce(array_agg(a.attname::text order by a.attnum), '{}'), coalesce(array_agg(format_type(a.atttypid, null) order by a.attnum), '{}')
		  from pg_attribute a join pg_index i on i.indrelid = a.attrelid and i.indisprimary and a.attnum = any(i.indkey)
		 where a.attrelid = $1::text::regclass and a.attname <> $2 and a.attidentity = '' and a.attgenerated = '' and not a.atthasdef`,
		tt.Name, tt.Owner).Scan(&columns, &types)
	require.NoError(t, err)
	for i, column := range columns {
		value, ok := map[string]string{
			"uuid": "gen_random_uuid()", "text": "gen_random_uuid()::text", "bytea": "gen_random_uuid()::text::bytea",
			"integer": "(random() * 1e9)::int", "bigint": "(random() * 1e9)::bigint", "smallint": "(random() * 1e4)::smallint",
			"timestamp with time zone": "clock_timestamp()", "date": "current_date", "interval": "make_interval(secs => random() * 1e6)", "boolean": "true", "xid8": "pg_current_xact_id()",
		}[types[i]]
		require.True(t, ok, "%s.%s: a value for %s", tt.Name, column, types[i])
		tt.Keys, tt.Values = append(tt.Keys, column), append(tt.Values, value)
	}
	if tt.Name == "audit_unsealed" { // whose policies ask for an entry too
		tt.Keys, tt.Values = append(tt.Keys, "entry"), append(tt.Values, `'{"route": "x"}'`)
	}
	err = owner.QueryRow(t.Context(), `
		select coalesce((select a.attname::text from pg_attribute a
		                  where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attname <> $2
		                    and a.attgenerated = '' and a.attidentity = '' and has_column_privilege('millrace_app', a.attrelid, a.attnum, 'update') limit 1), ''),
		       has_column_privilege('millrace_app', $1, $2, 'update'), has_column_privilege('millrace_app', $1, $2, 'insert'),
		       has_table_privilege('millrace_app', $1, 'delete')`, tt.Name, tt.Owner).Scan(&tt.Update, &tt.Move, &tt.Insert, &tt.Delete)
	require.NoError(t, err)
}

func (tt tenantTable) insert(workspace any) (string, []any) {
	return fmt.Sprintf("insert into %s (%s) values (%s)", tt.Name,
		strings.Join(append([]string{tt.Owner}, tt.Keys...), ", "), strings.Join(append([]string{"$1"}, tt.Values...), ", ")), []any{workspace}
}

// With no filter of ours at all, the database shows and gives a session no workspace's rows but its
// own, in any table that the catalogue knows.
func TestRowLevelSecurityAloneLeaksNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner, app := db.OwnerPool(t), db.Pool(t)
	tables := tenantTables(t, owner)
	mine, theirs := uuid.New(), uuid.New()
	for _, table := range tables {
		for _, workspace := range []any{mine, theirs, nil} {
			if workspace == nil && (!table.Null || table.Owner == "id") {
				continue
			}
			statement, args := table.insert(workspace)
			_, err := owner.Exec(t.Context(), statement, args...)
			require.NoError(t, err, statement)
		}
	}
	// as runs a statement of a session that is in a workspace, or in none, and takes it back.
	as := func(workspace uuid.UUID, statement string, args ...any) (int64, error) {
		tx, err := app.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(t.Context()) }()
		if workspace != uuid.Nil {
			_, err = tx.Exec(t.Context(), `select set_config('millrace.workspace', $1, true)`, workspace.String())
			require.NoError(t, err)
		}
		tag, err := tx.Exec(t.Context(), statement, args...)
		return tag.RowsAffected(), err
	}
	tried := map[string]int{}
	nothing := func(what string, workspace uuid.UUID, statement string, args ...any) {
		t.Helper()
		n, err := as(workspace, statement, args...)
		if !denied(err) {
			require.NoError(t, err, statement)
		}
		require.Zero(t, n, "%s of another: %s", what, statement)
		tried[what]++
	}
	for _, table := range tables {
		all := "select * from " + table.Name
		nothing("read without a workspace", uuid.Nil, all)
		nothing("read", mine, fmt.Sprintf("%s where %s is distinct from $1", all, table.Owner), mine)
		if n, err := as(mine, all); !denied(err) {
			require.NoError(t, err)
			require.EqualValues(t, 1, n, "%s: its own row", table.Name)
			tried["read of its own"]++
		}
		if table.Update != "" {
			nothing("update", mine, fmt.Sprintf("update %s set %s = %[2]s where %s is distinct from $1", table.Name, table.Update, table.Owner), mine)
			if n, err := as(mine, fmt.Sprintf("update %s set %s = %[2]s", table.Name, table.Update)); err == nil {
				require.EqualValues(t, 1, n, "%s: all that it may update", table.Name)
			}
		}
		if table.Move {
			nothing("move to another", mine, fmt.Sprintf("update %s set %s = $1", table.Name, table.Owner), theirs)
		}
		if table.Delete {
			nothing("delete", mine, fmt.Sprintf("delete from %s where %s is distinct from $1", table.Name, table.Owner), mine)
			n, err := as(mine, "delete from "+table.Name)
			require.NoError(t, err)
			require.EqualValues(t, 1, n, "%s: all that it may delete", table.Name)
		}
		if table.Insert {
			statement, args := table.insert(theirs)
			nothing("insert", mine, statement, args...)
			nothing("insert without a workspace", uuid.Nil, statement, args...)
			third := uuid.New() // which has no row of the same key
			statement, args = table.insert(third)
			n, err := as(third, statement, args...)
			require.NoError(t, err, "its own: %s", statement)
			require.EqualValues(t, 1, n)
		}
	}
	t.Logf("%d tables: %v", len(tables), tried)
	for _, what := range []string{"read", "read of its own", "update", "delete", "insert"} {
		require.GreaterOrEqual(t, tried[what], 5, what)
	}
}

// denied reports whether the database refused: by a missing grant or by a policy.
func denied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// What a workspace's session may read without row-level security is shared on purpose.
func TestOnlyListedTablesAreSharedBetweenWorkspaces(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).OwnerPool(t)
	rows, err := pool.Query(t.Context(), `
		select c.relname::text from pg_class c
		 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relrowsecurity
		   and has_any_column_privilege('millrace_app', c.oid, 'select')
		   and not (c.relkind = 'v' and coalesce('security_invoker=true' = any(c.reloptions), false))
		 order by 1`)
	require.NoError(t, err)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	left := maps.Clone(shared)
	for _, table := range open {
		require.NotEmpty(t, left[table], "%s: secure it, or say here why everybody may read it", table)
		delete(left, table)
	}
	require.Empty(t, left, "tables that are gone, or secured")
}
