package api_test

import (
	"net/http"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// undoOnce has the server undo the first transaction that changes a row of a table so that a condition holds, as when two
// wait for each other.
func (r *fixture) undoOnce(table, condition string) {
	r.t.Helper()
	_, err := r.db.OwnerPool(r.t).Exec(r.t.Context(), `
		create sequence undone_`+table+`;
		grant usage on sequence undone_`+table+` to public;
		create function undo_`+table+`() returns trigger language plpgsql as $$
		begin
		    if nextval('undone_`+table+`') = 1 then
		        raise exception using errcode = '40P01', message = 'deadlock detected';
		    end if;
		    return new;
		end
		$$;
		create trigger undo before insert or update on `+table+` for each row when (`+condition+`) execute function undo_`+table+`()`)
	require.NoError(r.t, err)
}

func (r *fixture) undone(table string) int {
	return r.count(`select last_value from undone_` + table)
}

// What the server undoes for another's sake, or as this process had no processor for a while, is done all the same: the
// answers are those of a submission and of a cancel, and there is one of each.
func TestWhatTheServerUndoesIsDoneAllTheSame(t *testing.T) {
	r := newFixture(t).withSample()
	ingest := `{"text":"A note.","title":"n"}`
	for _, c := range []struct{ path, body, table string }{
		{"/backtests/tune", smallTune, "tunes"}, {"/backtests/wfo", smallWFO, "wfo_runs"}, {"/ingest", ingest, "ingest_jobs"},
	} {
		r.undoOnce(c.table, "new.status in ('canceled', 'queued', 'pending')")
		made := r.do(http.MethodPost, c.path, c.body, "X-Idempotency-Key", c.table)
		require.Equal(t, http.StatusAccepted, made.status, string(made.body))
		require.Greater(t, r.undone(c.table), 1, "%s: nothing was undone", c.path)
		all := r.audits()
		require.Equal(t, path.Base(made.header.Get("Location")), all[len(all)-1].Entity.ID, "%s: the audit log names what was undone", c.path)
		_, err := r.db.OwnerPool(t).Exec(t.Context(), `alter sequence undone_`+c.table+` restart`)
		require.NoError(t, err)
		canceled := r.do(http.MethodPost, made.header.Get("Location")+"/cancel", "")
		require.Equal(t, http.StatusOK, canceled.status, string(canceled.body))
		require.Contains(t, string(canceled.body), `"canceled"`)
		require.Greater(t, r.undone(c.table), 1, "%s: nothing was undone", c.path)
		require.Equal(t, 1, r.count(`select count(*) from event_log where type in ('backtest.tune.canceled', 'wfo.run.canceled', 'ingestion.job.canceled')
			and entity_id = (select id::text from `+c.table+` where status = 'canceled' limit 1)`))
	}
}

// Of a change of many at once, which takes several transactions, what the server undoes is done again too: its beginning and each step.
func TestABulkChangeThatTheServerUndoesIsDoneAllTheSame(t *testing.T) {
	r := newFixture(t).withSample()
	for _, key := range []string{"first", "second"} {
		require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", key).status)
	}
	r.undoOnce("tunes", "new.status = 'canceled'")
	r.undoOnce("idempotency_keys", "new.route = 'POST /bulk'")
	const body = `{"kind":"tune","action":"cancel","confirm":2}`
	done := r.do(http.MethodPost, "/bulk", body, "X-Idempotency-Key", "all")
	require.Equal(t, http.StatusOK, done.status, string(done.body))
	require.Greater(t, r.undone("tunes"), 1, "no step was undone")
	require.Greater(t, r.undone("idempotency_keys"), 1, "no beginning was undone")
	require.Equal(t, 2, into[types.BulkResult](t, done).Changed)
	require.Equal(t, 2, r.count(`select count(*) from event_log where type = 'backtest.tune.canceled'`))
	require.Equal(t, string(done.body), string(r.do(http.MethodPost, "/bulk", body, "X-Idempotency-Key", "all").body))
}
