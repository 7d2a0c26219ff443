package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While the audit log cannot be written, whatever the reason, changes and sign-ins are refused, and say so; reading works.
func TestChangesAreRefusedWhileTheAuditLogCannotBeWritten(t *testing.T) {
	for name, fault := range map[string]struct{ begins, ends string }{
		"the table is away":      {`alter table audit_unsealed rename to audit_unsealed_away`, `alter table audit_unsealed_away rename to audit_unsealed`},
		"the right is withdrawn": {`revoke insert (entry) on audit_unsealed from millrace_workspace, millrace_fleet`, `grant insert (entry) on audit_unsealed to millrace_workspace, millrace_fleet`},
		"a trigger raises": {`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'disk of the archive is full'; end $$;
			create trigger refuse before insert on audit_unsealed for each row execute function refuse()`, `drop trigger refuse on audit_unsealed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t).withSample()
			owner := r.db.OwnerPool(t)
			_, err := owner.Exec(t.Context(), fault.begins)
			require.NoError(t, err)
			before := r.count(`select count(*) from api_keys`)
			for path, body := range map[string]string{"/backtests/tune": smallTune, "/workspace/keys": `{"name":"k","role":"viewer"}`} {
				requireUnaudited(t, path, r.do(http.MethodPost, path, body, "X-Idempotency-Key", "k"))
			}
			login, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"`+r.key+`"}`))
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, login.status)
			require.Equal(t, before, r.count(`select count(*) from api_keys`))
			require.Zero(t, r.count(`select count(*) from tunes`)+r.count(`select count(*) from river_job`)+r.count(`select count(*) from admin_sessions`))
			require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/backtests/tunes", "").status)
			_, err = owner.Exec(t.Context(), fault.ends)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
		})
	}
}

func requireUnaudited(t *testing.T, name string, a answer) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, a.status, "%s: %s", name, a.body)
	require.Contains(t, string(a.body), "audit log cannot be written", name)
	require.NotEmpty(t, a.header.Get("Retry-After"), name)
}

// Every route that changes something is refused while its entry cannot be written, and has changed nothing.
func TestNoRouteChangesAnythingWithoutItsAuditEntry(t *testing.T) {
	n := newChanges(t)
	_, err := n.db.OwnerPool(t).Exec(t.Context(), `
		create function refuse() returns trigger language plpgsql as $$ begin raise exception 'disk of the archive is full'; end $$;
		create trigger refuse before insert on audit_unsealed for each row execute function refuse()`)
	require.NoError(t, err)
	unasked := map[string]bool{
		"POST /backtests/tunes/:id/explain": true, // it has not run
		"POST /bulk":                        true, // its example only counts
		"POST /datasets/:id/bars":           true, // of a dataset that could not be made
	}
	refused, before := 0, n.everything()
	for _, route := range n.routes {
		name := route.Method + " " + route.Path
		if unasked[name] || strings.HasSuffix(route.Path, "/retry") || strings.HasSuffix(route.Path, "/restore") { // of what could not be cancelled, or archived
			continue
		}
		a := n.ask(route)
		assert.True(t, a.status == http.StatusServiceUnavailable && strings.Contains(string(a.body), "audit log cannot be written"), "%s: %d %s", name, a.status, a.body)
		assert.Equal(t, before, n.everything(), "%s changed something", name)
		refused++
	}
	require.Greater(t, refused, 40)
}

// everything is a line for each table that changes go to: how many rows it has, and a digest of them. What requests leave
// that change nothing (when a key was used, how often an address asked) is not in it.
func (n *neighbours) everything() string {
	n.t.Helper()
	pool := n.db.OwnerPool(n.t)
	var sql string
	require.NoError(n.t, pool.QueryRow(n.t.Context(), `
		select string_agg(format($$select %L as name, count(*) as rows, md5(string_agg((to_jsonb(t) - 'last_used_at' - 'last_seen_at')::text, ',' order by to_jsonb(t)::text)) as digest from %I t$$, relname, relname), ' union all ')
		  from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
		   and relname not like 'river_%' and relname not like 'counter%' and relname not like 'event_counts%' and relname not like 'rate%'
		   and relname not in ('millrace_migration', 'workers', 'llm_minutes')`).Scan(&sql))
	var all string
	require.NoError(n.t, pool.QueryRow(n.t.Context(), `
		select string_agg(name || ' ' || rows || ' ' || coalesce(digest, ''), E'\n' order by name) ||
		       (select E'\njobs ' || count(*) from river_job) from (`+sql+`) tables`).Scan(&all))
	return all
}
