package migrations_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// rawSQL is a session as the application's, in which a test writes any SQL it likes.
type rawSQL struct {
	t    *testing.T
	db   *pgtest.DB
	conn *pgx.Conn
}

func newRawSQL(t *testing.T) *rawSQL {
	t.Helper()
	r := &rawSQL{t: t, db: pgtest.New(t)}
	cfg, err := pgx.ParseConfig(r.db.URL)
	require.NoError(t, err)
	cfg.RuntimeParams["role"] = "millrace_app"
	r.conn, err = pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.conn.Close(t.Context()) })
	return r
}

// in runs statements in a transaction of a workspace, as the store opens it, and takes them back.
func (r *rawSQL) in(workspace uuid.UUID, statements ...string) (rows int64, err error) {
	r.t.Helper()
	tx, err := r.conn.Begin(r.t.Context())
	require.NoError(r.t, err)
	defer func() { _ = tx.Rollback(r.t.Context()) }()
	_, err = tx.Exec(r.t.Context(), `set local role millrace_tenant; set local millrace.workspace = '`+workspace.String()+`'`)
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
		n, err := r.in(mine, statement)
		require.NoError(t, err)
		require.Zero(t, n, statement)
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

// Leaving the role leads to the login, which has no rights, or to the application's role, which sees the
// rows of a workspace as before.
func TestLeavingTheRoleGainsNothing(t *testing.T) {
	r := newRawSQL(t)
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `
		insert into workspaces (id, name) values (gen_random_uuid(), 'w');
		insert into event_log (topic, type, entity_id) values ('jobs', 'test', '1');
		insert into river_job (kind, args, queue, max_attempts, state) values ('test', '{}', 'q', 3, 'available')`)
	require.NoError(t, err)
	for _, leave := range []string{`reset role`, `set local role none`} {
		for _, statement := range []string{
			`select from workspaces`, `select from event_log`, `create table t (n int)`,
		} {
			n, err := r.in(uuid.New(), leave, statement)
			if !denied(err) {
				require.NoError(t, err)
				require.Zero(t, n, "%s; %s", leave, statement)
			}
		}
	}
}
