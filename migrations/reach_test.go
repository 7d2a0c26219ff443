package migrations_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// rawSQL is a session as the application's, in which a test writes any SQL it likes.
type rawSQL struct {
	t       *testing.T
	db      *pgtest.DB
	conn    *pgx.Conn // of the fleet's work
	limited *pgx.Conn // of workspaces' transactions
}

func newRawSQL(t *testing.T) *rawSQL {
	t.Helper()
	r := &rawSQL{t: t, db: pgtest.New(t)}
	r.conn, r.limited = r.open(r.db.URL, "millrace_app"), r.open(r.db.Limited, "millrace_workspace")
	return r
}

// open opens a session with a login, which acts as a role from the beginning.
func (r *rawSQL) open(url, role string) *pgx.Conn {
	r.t.Helper()
	cfg, err := pgx.ParseConfig(url)
	require.NoError(r.t, err)
	cfg.RuntimeParams["role"] = role
	conn, err := pgx.ConnectConfig(r.t.Context(), cfg)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// in runs statements in a transaction of a workspace, as the store opens it, and takes them back.
func (r *rawSQL) in(workspace uuid.UUID, statements ...string) (rows int64, err error) {
	r.t.Helper()
	tx, err := r.limited.Begin(r.t.Context())
	require.NoError(r.t, err)
	defer func() { _ = tx.Rollback(r.t.Context()) }()
	_, err = tx.Exec(r.t.Context(), `set local role millrace_workspace; set local millrace.workspace = '`+workspace.String()+`'`)
	require.NoError(r.t, err)
	for _, statement := range statements {
		tag, err := tx.Exec(r.t.Context(), statement)
		if err != nil {
			return 0, err
		}
		rows = tag.RowsAffected()
	}
	return rows, nil
}

// A transaction of a workspace sees and changes its own jobs only, and no worker; River's sessions
// work all of them.
func TestAWorkspaceReachesItsOwnJobsOnly(t *testing.T) {
	r := newRawSQL(t)
	mine, theirs := uuid.New(), uuid.New()
	add := func(workspace uuid.UUID) string {
		return `insert into river_job (kind, args, queue, max_attempts, state)
			values ('test', jsonb_build_object('workspace_id', '` + workspace.String() + `'), 'q', 3, 'available')`
	}
	for _, workspace := range []uuid.UUID{mine, theirs, theirs} {
		_, err := r.conn.Exec(t.Context(), add(workspace))
		require.NoError(t, err, "River's own sessions insert any job")
	}
	_, err := r.conn.Exec(t.Context(), `insert into workers (id, host, pid, version, queues) values ('w', 'h', 1, 'v', '{"q": 3}')`)
	require.NoError(t, err)
	for _, statement := range []string{`select from river_job`, `update river_job set priority = 2`, `delete from river_job`} {
		n, err := r.in(mine, statement)
		require.NoError(t, err)
		require.EqualValues(t, 1, n, statement)
	}
	for _, statement := range []string{`select from workers`, `update workers set running = '{1}'`, `delete from workers`} {
		_, err := r.in(mine, statement)
		require.True(t, denied(err), "%s: %v", statement, err)
	}
	_, err = r.in(mine, add(mine))
	require.NoError(t, err)
	_, err = r.in(mine, add(theirs))
	require.True(t, denied(err), "%v", err)
	_, err = r.in(mine, `update river_job set args = jsonb_build_object('workspace_id', '`+theirs.String()+`')`)
	require.True(t, denied(err), "%v", err)
	var slots, jobs int
	require.NoError(t, r.conn.QueryRow(t.Context(), `select fleet_slots('q', '1 minute'), (select count(*) from river_job)`).Scan(&slots, &jobs))
	require.Equal(t, 3, slots)
	require.Equal(t, 3, jobs, "River's own sessions see every job")
	_, err = r.in(mine, `do $$ begin if fleet_slots('q', '1 minute') <> 3 then raise exception 'the slots of the fleet are not seen'; end if; end $$`)
	require.NoError(t, err, "a workspace counts the slots of workers that it does not see")
}

// Events come from the transactions that they are about: neither for another workspace, nor at a place
// or time of the writer's choice, nor by a trigger of the writer's own.
func TestEventsCannotBeForged(t *testing.T) {
	r := newRawSQL(t)
	mine, theirs := uuid.New(), uuid.New()
	event := func(workspace uuid.UUID) string {
		return `insert into event_log (workspace_id, topic, type, entity_id) values ('` + workspace.String() + `', 'jobs', 'forged', '1')`
	}
	_, err := r.in(mine, event(mine))
	require.NoError(t, err)
	for name, statements := range map[string][]string{
		"another workspace's": {event(theirs)},
		"at a place":          {`insert into event_log (xid, workspace_id, topic, type, entity_id) values ('1', '` + mine.String() + `', 'jobs', 'forged', '1')`},
		"with an id":          {`insert into event_log (id, workspace_id, topic, type, entity_id) values (1, '` + mine.String() + `', 'jobs', 'forged', '1')`},
		"at a time":           {`insert into event_log (at, workspace_id, topic, type, entity_id) values ('2000-01-01', '` + mine.String() + `', 'jobs', 'forged', '1')`},
		"a temporary table":   {`create temporary table t (n int)`},
		"a table":             {`create table t (n int)`},
		"a function":          {`create function f() returns trigger language plpgsql as 'begin return null; end'`},
		"a count":             {`insert into counter_deltas (workspace_id, subject, state, n) values ('` + mine.String() + `', 'job', 'running', 1000)`},
	} {
		_, err := r.in(mine, statements...)
		require.True(t, denied(err), "%s: %v", name, err)
	}

	// Even where an administrator gives the right to temporary tables.
	owner := r.db.OwnerPool(t)
	_, err = owner.Exec(t.Context(), `do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$`)
	require.NoError(t, err)
	_, err = r.in(mine, `create temporary table t (n int)`,
		`create function pg_temp.forge() returns trigger language plpgsql as $$ begin `+event(theirs)+`; return null; end $$`,
		`create trigger forge after insert on t for each row execute function pg_temp.forge()`,
		`insert into t values (1)`)
	require.True(t, denied(err), "by a trigger: %v", err)
	for _, function := range []string{"event_log_from_river_insert", "counter_deltas_from_river_delete", "river_job_refuse_zombie"} {
		_, err = r.in(mine, `create temporary table t (id bigint, args jsonb, state text, kind text, queue text, attempt int)`,
			`create trigger forge after insert on t referencing new table as new_rows for each statement execute function `+function+`()`)
		require.True(t, denied(err), "by our own trigger function %s: %v", function, err)
	}
	var forged int
	require.NoError(t, owner.QueryRow(t.Context(), `select count(*) from event_log where type = 'forged'`).Scan(&forged))
	require.Zero(t, forged)
}

func TestDaysOfTheEventLogAreMadeOnlyAMonthAhead(t *testing.T) {
	r := newRawSQL(t)
	for _, days := range []string{"32", "100000", "-1", "null"} {
		_, err := r.in(uuid.New(), `select event_log_roll(`+days+`)`)
		require.ErrorContains(t, err, "0 to 31", days)
	}
	_, err := r.in(uuid.New(), `select event_log_roll(31)`)
	require.NoError(t, err)
}

// escapes are what SQL that gets into a transaction of a workspace may try, to act as another role.
func escapes() []string {
	tries := []string{
		`reset role`, `set local role none`, `set role none`, `set role default`, `reset session authorization`, `reset all`,
		`commit; discard all`, `commit; reset all; reset role`, `rollback`, `set local row_security = off`,
	}
	for _, role := range []string{"millrace_app", "millrace_tenant", "millrace_fleet", "postgres", "pg_read_all_data", "pg_database_owner"} {
		tries = append(tries, `set role `+role, `set local role `+role, `set session authorization `+role, `select set_config('role', '`+role+`', true)`,
			`commit; select set_config('role', '`+role+`', false)`, `commit; set session authorization `+role)
	}
	return tries
}

// Whatever SQL gets into a transaction of a workspace, it sees nothing of another: neither in the tables of
// the workspaces nor among River's jobs and the workers.
func TestLeavingTheRoleGainsNothing(t *testing.T) {
	r := newRawSQL(t)
	owner := r.db.OwnerPool(t)
	mine, theirs := uuid.New(), uuid.New()
	tables := []string{"river_job", "workers"}
	for _, table := range tenantTables(t, owner) {
		statement, args := table.insert(theirs)
		_, err := owner.Exec(t.Context(), statement, args...)
		require.NoError(t, err, statement)
		tables = append(tables, table.Name)
	}
	_, err := owner.Exec(t.Context(), `
		insert into workers (id, host, pid, version, queues) values ('w', 'h', 1, 'v', '{}');
		insert into river_job (kind, args, queue, max_attempts, state)
		values ('test', '{}', 'q', 3, 'available'), ('test', jsonb_build_object('workspace_id', '`+theirs.String()+`'), 'q', 3, 'available')`)
	require.NoError(t, err)
	begin := `begin; set local role millrace_workspace; set local millrace.workspace = '` + mine.String() + `'; `
	escaped := 0
	for _, escape := range escapes() {
		if _, err := r.limited.Exec(t.Context(), begin+escape); err == nil {
			escaped++
		}
		for _, table := range tables {
			_, _ = r.limited.Exec(t.Context(), `rollback`)
			_, _ = r.limited.Exec(t.Context(), begin+escape) // what is refused leaves a transaction in which all is
			tag, err := r.limited.Exec(t.Context(), `select from `+table)
			if err == nil {
				require.Zero(t, tag.RowsAffected(), "%s: %s shows rows of another", escape, table)
			}
			_, _ = r.limited.Exec(t.Context(), `rollback`)
			tag, err = r.limited.Exec(t.Context(), `select from `+table)
			if err == nil {
				require.Zero(t, tag.RowsAffected(), "after %s: %s shows rows of another", escape, table)
			}
		}
		_, _ = r.limited.Exec(t.Context(), `rollback`)
	}
	t.Logf("%d of %d tries are statements that the session may make; %d tables", escaped, len(escapes()), len(tables))
	require.GreaterOrEqual(t, escaped, 5)
	var all int
	require.NoError(t, r.conn.QueryRow(t.Context(), `select count(*) from river_job`).Scan(&all))
	require.Equal(t, 2, all, "River's own sessions see every job")
}
