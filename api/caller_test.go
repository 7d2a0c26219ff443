package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store/tenants"
)

// knownCaller is a key by which work was submitted a moment ago, so that the server knows who shows it.
func (r *fixture) knownCaller() (id uuid.UUID, submit func(path, body, key string) answer) {
	r.t.Helper()
	secret := r.newKey(r.alpha, tenants.RoleMember)
	require.NoError(r.t, r.db.OwnerPool(r.t).QueryRow(r.t.Context(), `select id from api_keys order by created_at desc limit 1`).Scan(&id))
	submit = func(path, body, key string) answer {
		return r.do(http.MethodPost, path, body, "Authorization", "Bearer "+secret, "X-Idempotency-Key", key)
	}
	for n := range 2 {
		a := submit("/ingest", fmt.Sprintf(`{"url":"https://example.com/known-%d"}`, n), fmt.Sprint("known ", id, n))
		require.Equal(r.t, http.StatusAccepted, a.status, string(a.body))
	}
	return id, submit
}

const (
	aTune     = `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]}}`
	aWFO      = `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]},"wfo_config":{"train_days":500,"test_days":250}}`
	anAddress = `{"url":"https://example.com/x"}`
)

// Who is known from a moment ago and is known no more is refused from the next request on, whatever it asks: nothing is
// stored, and it learns nothing of what was.
func TestAKnownCallerThatIsRevokedIsAStranger(t *testing.T) {
	r := newFixture(t).withSample()
	refused := func(change, what, path, good, body, key string) {
		id, submit := r.knownCaller()
		if made := submit(path, good, "made"); made.status != http.StatusAccepted {
			require.FailNow(t, "not made", "%s: %s", path, made.body)
		}
		before := r.everything()
		r.exec(`update api_keys set `+change+` where id = $1`, id)
		a := submit(path, body, key) // the first since: afterwards it is known no more
		require.Equal(t, http.StatusUnauthorized, a.status, "%s %s %s: %s", change, path, what, a.body)
		require.Equal(t, before, r.everything(), "%s %s %s: nothing is stored", change, path, what)
	}
	for path, good := range map[string]string{
		"/backtests/tune": aTune, "/backtests/wfo": aWFO, "/ingest": anAddress, "/ingest/article": anAddress, "/ingest/text": `{"text":"words","name":"w.txt"}`,
	} {
		const revoked = `revoked_at = now()`
		refused(revoked, "the same again", path, good, good, "made")
		refused(revoked, "another", path, good, good, uuid.NewString())
		refused(revoked, "with faults", path, good, `{"dataset":"nowhere","url":7}`, uuid.NewString())
		refused(revoked, "another body under a key", path, good, `{"dataset":"nowhere","url":"https://example.com/y"}`, "made")
		refused(revoked, "no JSON", path, good, `{`, uuid.NewString())
		refused(revoked, "no idempotency key", path, good, good, "")
		refused(`expires_at = now()`, "another", path, good, good, uuid.NewString())
		refused(`key_sha256 = sha256(key_sha256)`, "another", path, good, good, uuid.NewString())
	}
}

// What was changed of a known caller or its workspace holds from the next request on.
func TestAKnownCallerIsWhatItIsNow(t *testing.T) {
	r := newFixture(t).withSample()
	for _, c := range []struct {
		change, undo string
		status       int
		of           bool // the key, and not its workspace
	}{
		{`role = 'viewer'`, `role = 'member'`, http.StatusForbidden, true},
		{`name = 'renamed'`, `name = 'renamed again'`, http.StatusAccepted, true},
		{`queue_depth = 1`, `queue_depth = null`, http.StatusTooManyRequests, false},
		{`submissions_per_minute = 1000`, `submissions_per_minute = null`, http.StatusAccepted, false},
	} {
		for path, body := range map[string]string{"/backtests/tune": aTune, "/ingest": anAddress} {
			id, submit := r.knownCaller()
			update := func(change string) {
				if c.of {
					r.exec(`update api_keys set `+change+` where id = $1`, id)
				} else {
					r.exec(`update workspaces set `+change+` where id = $1`, r.alpha.ID)
				}
			}
			update(c.change)
			a := submit(path, body, fmt.Sprint(c.change, path))
			require.Equal(t, c.status, a.status, "%s %s: %s", c.change, path, a.body)
			if c.change == `submissions_per_minute = 1000` {
				require.NotEmpty(t, a.header.Get("RateLimit"), path)
			}
			if c.change == `name = 'renamed'` {
				var named int
				require.NoError(t, r.db.OwnerPool(t).QueryRow(t.Context(), `
					select count(*) from audit_unsealed where entry::jsonb -> 'actor' ->> 'name' = 'renamed'
					   and entry::jsonb -> 'entity' ->> 'id' = $1`, madeID(t, a)).Scan(&named))
				require.Equal(t, 1, named, "the audit entry names who it is now")
			}
			update(c.undo)
		}
	}
}

// everything is how much there is that submissions make.
func (r *fixture) everything() (n [6]int) {
	r.t.Helper()
	require.NoError(r.t, r.db.OwnerPool(r.t).QueryRow(r.t.Context(), `
		select (select count(*) from tunes), (select count(*) from wfo_runs), (select count(*) from ingest_jobs),
		       (select count(*) from documents), (select count(*) from ingest_uploads), (select count(*) from idempotency_keys)`).
		Scan(&n[0], &n[1], &n[2], &n[3], &n[4], &n[5]))
	return n
}

// madeID is the id of what an answer says was made.
func madeID(t *testing.T, a answer) string {
	t.Helper()
	at := a.header.Get("Location")
	require.NotEmpty(t, at)
	return at[len(at)-36:]
}
