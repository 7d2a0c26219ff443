package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/storetest"
	"millrace/store/tenants"
)

// A key whose submissions come to the database before it was looked up opens nothing that it does not open: whatever has changed of it
// holds from the next request on, for good requests, bad ones and those that were answered before.
func TestAKeyThatIsRememberedOpensWhatItOpensNow(t *testing.T) {
	tune := func(seed int) string {
		return fmt.Sprintf(`{"dataset":"sp500","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10],"slow":[50,100]}}`, seed)
	}
	requests := map[string]struct {
		path, body, key string
		makes           bool
	}{
		"a tune":              {"/backtests/tune", tune(9), "new", true},
		"a tune again":        {"/backtests/tune", tune(1), "k1", false},
		"another of its key":  {"/backtests/tune", tune(9), "k1", false},
		"no JSON":             {"/backtests/tune", `{`, "bad", false},
		"a member too many":   {"/backtests/tune", `{"nothing":1}`, "bad", false},
		"a dataset not there": {"/backtests/tune", strings.Replace(tune(9), "sp500", "nothing", 1), "bad", false},
		"no key":              {"/backtests/tune", tune(9), "", false},
		"a query too many":    {"/backtests/tune?nothing=1", tune(9), "bad", false},
		"a walk-forward":      {"/backtests/wfo", strings.TrimSuffix(tune(9), "}") + `,"wfo_config":{"train_days":800,"test_days":400}}`, "wfo", true},
	}
	for name, c := range map[string]struct {
		change string
		status int // 0: as before, also of what creates
		makes  int // status of what creates; 0: status
	}{
		"revoked":           {change: `update api_keys set revoked_at = now()`, status: http.StatusUnauthorized},
		"expired":           {change: `update api_keys set expires_at = now()`, status: http.StatusUnauthorized},
		"of another role":   {change: `update api_keys set role = 'viewer'`, status: http.StatusForbidden},
		"of another name":   {change: `update api_keys set name = 'other'`, makes: http.StatusAccepted},
		"ends soon":         {change: `update api_keys set expires_at = now() + interval '1 day'`, makes: http.StatusAccepted},
		"not used lately":   {change: `update api_keys set last_used_at = now() - interval '2 minutes'`, makes: http.StatusAccepted},
		"another secret":    {change: `update api_keys set key_sha256 = sha256('other' || id::text::bytea)`, status: http.StatusUnauthorized},
		"another id":        {change: `update api_keys set id = gen_random_uuid()`, makes: http.StatusAccepted},
		"a limit":           {change: `update workspaces set submissions_per_minute = 5`, makes: http.StatusAccepted},
		"a depth":           {change: `update workspaces set queue_depth = 3`, makes: http.StatusTooManyRequests},
		"another workspace": {change: `update api_keys set workspace_id = (select id from workspaces where name = 'beta')`, status: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trips := &storetest.RoundTrips{}
			r := newFixture(t, counted(t, trips)).withSample()
			r.key = r.newKey(r.alpha, tenants.RoleMember)
			submit := func(n int) {
				a := r.do(http.MethodPost, "/backtests/tune", tune(n), "X-Idempotency-Key", fmt.Sprint("k", n))
				require.Equal(t, http.StatusAccepted, a.status, string(a.body))
			}
			for n := range 4 {
				submit(n)
			}
			before := map[string]int{}
			for name, q := range requests {
				if !q.makes {
					before[name] = r.do(http.MethodPost, q.path, q.body, "X-Idempotency-Key", q.key).status
				}
			}
			r.exec(`create table was as select * from api_keys`)
			n := 100
			for name, q := range requests {
				r.exec(`update workspaces set submissions_per_minute = null, queue_depth = null`)
				r.exec(`update api_keys k set id = w.id, workspace_id = w.workspace_id, name = w.name, role = w.role, key_sha256 = w.key_sha256,
				               revoked_at = null, expires_at = null, last_used_at = now()
				          from was w where w.created_at = k.created_at`)
				r.exec(`delete from rate_limits`)
				for trips.Take(); ; n++ {
					if submit(n); len(trips.Take()) == 1 {
						break
					}
				}
				n++
				made := r.count(`select count(*) from tunes`) + r.count(`select count(*) from wfo_runs`)
				r.exec(c.change)
				a := r.do(http.MethodPost, q.path, q.body, "X-Idempotency-Key", q.key)
				now := r.count(`select count(*) from tunes`) + r.count(`select count(*) from wfo_runs`)
				want := c.status
				switch {
				case want != 0:
				case q.makes:
					want = c.makes
				default:
					want = before[name]
				}
				if c.status != http.StatusNotFound {
					require.Equal(t, want, a.status, "%s: %s", name, a.body)
				}
				if q.makes && want == http.StatusAccepted {
					require.Greater(t, now, made, name)
				} else {
					require.Equal(t, made, now, name)
				}
				require.Equal(t, strings.Contains(c.change, "1 day"), a.header.Get("Key-Expires") != "", name)
				require.Equal(t, strings.Contains(c.change, "_minute"), a.header.Get("RateLimit") != "", name)
				if strings.Contains(c.change, "last_used_at") {
					require.Equal(t, 1, r.count(`select count(*) from api_keys where name = 'test' and role = 'member' and last_used_at > now() - interval '1 minute'`), name)
				}
				if q.makes && want == http.StatusAccepted { // its audit entry names who it is from now
					require.Positive(t, r.count(`select count(*) from audit_unsealed a join api_keys k on a.entry like '%"id":"'||k.id||'","name":"'||k.name||'"%' where k.role = 'member'`), name)
				}
			}
		})
	}
}
