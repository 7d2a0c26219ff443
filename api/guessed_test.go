package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
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
		"an address":             {"/ingest", `{"url":"http://a.test/new"}`, "address", true},
		"an address of a type":   {"/ingest/article", `{"url":"http://a.test/typed"}`, "typed", true},
		"an address again":       {"/ingest", `{"url":"http://a.test/0"}`, "a0", false},
		"another of its address": {"/ingest", `{"url":"http://a.test/1"}`, "a0", false},
		"no address":             {"/ingest", `{"url":"nothing"}`, "bad", false},
		"no JSON to ingest":      {"/ingest", `{`, "bad", false},
		"a text":                 {"/ingest", `{"text":"A text of words.","source":"notes"}`, "text", true},
		"an empty text":          {"/ingest", `{"text":" "}`, "bad", false},
		"a tune":                 {"/backtests/tune", tune(9), "new", true},
		"a tune again":           {"/backtests/tune", tune(1), "k1", false},
		"another of its key":     {"/backtests/tune", tune(9), "k1", false},
		"no JSON":                {"/backtests/tune", `{`, "bad", false},
		"a member too many":      {"/backtests/tune", `{"nothing":1}`, "bad", false},
		"a dataset not there":    {"/backtests/tune", strings.Replace(tune(9), "sp500", "nothing", 1), "bad", false},
		"no key":                 {"/backtests/tune", tune(9), "", false},
		"a query too many":       {"/backtests/tune?nothing=1", tune(9), "bad", false},
		"a walk-forward":         {"/backtests/wfo", strings.TrimSuffix(tune(9), "}") + `,"wfo_config":{"train_days":800,"test_days":400}}`, "wfo", true},
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
			require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/ingest", `{"url":"http://a.test/0"}`, "X-Idempotency-Key", "a0").status)
			const of = ` where workspace_id = (select id from workspaces where name = 'alpha'))`
			const work = `select (select count(*) from tunes` + of + ` + (select count(*) from wfo_runs` + of + ` + (select count(*) from ingest_jobs` + of
			const kept = work + ` + (select count(*) from documents` + of + ` + (select count(*) from ingest_uploads` + of
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
				made, all := r.count(work), r.count(kept)
				r.exec(c.change)
				a := r.do(http.MethodPost, q.path, q.body, "X-Idempotency-Key", q.key)
				now := r.count(work)
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
					require.Equal(t, all, r.count(kept), name)
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

// A request that takes two transactions may find its key changed in the second one. It is served again then, as if the first had found that.
func TestAKeyThatChangesWithinARequestOpensWhatItOpensThen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		status int
	}{
		"revoked":         {`update api_keys set revoked_at = now()`, http.StatusUnauthorized},
		"not used lately": {`update api_keys set last_used_at = now() - interval '2 minutes'`, http.StatusAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r *fixture
			var changes atomic.Bool
			trips := &storetest.RoundTrips{Only: func(sql string) bool {
				if sql == "rollback" && changes.CompareAndSwap(true, false) {
					r.exec(c.change)
				}
				return true
			}}
			r = newFixture(t, counted(t, trips)).withSample()
			r.exec(`update workspaces set queue_depth = current_setting('max_connections')::int + 1`) // so few that each enters alone
			submit := func(n int) int {
				body := fmt.Sprintf(`{"dataset":"sp500","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10],"slow":[50,100]}}`, n)
				return r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", fmt.Sprint("k", n)).status
			}
			for n := range 3 {
				require.Equal(t, http.StatusAccepted, submit(n))
			}
			changes.Store(true)
			require.Equal(t, c.status, submit(3))
			require.False(t, changes.Load(), "there was one transaction")
		})
	}
}

// A body that is too long or does not come is answered alike whether the key is remembered or looked up.
func TestABodyOfARememberedKeyIsBounded(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(o *api.Options) { o.BodyIdle = time.Second }).withSample()
	for n := range 3 {
		a := r.do(http.MethodPost, "/backtests/tune", fmt.Sprintf(`{"dataset":"sp500","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10],"slow":[50,100]}}`, n), "X-Idempotency-Key", fmt.Sprint("k", n))
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	}
	a, err := r.try(http.MethodPost, "/backtests/tune", io.MultiReader(strings.NewReader(strings.Repeat(" ", 10<<20+4096))),
		"Authorization", "Bearer "+r.key, "X-Idempotency-Key", "long")
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status, string(a.body))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "POST /backtests/tune HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nX-Idempotency-Key: slow\r\nContent-Length: 100\r\n\r\n{", r.key)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "408 Request Timeout")
	require.NoError(t, conn.Close())
}

// Nothing that is sent is stored before its caller is known: text, files, and what is too long to be read twice, or of no known length, wait
// for the key to be looked up, also where it is remembered.
func TestNothingIsStoredForACallerThatIsNotKnown(t *testing.T) {
	t.Parallel()
	trips := &storetest.RoundTrips{}
	r := newFixture(t, counted(t, trips))
	for n := range 3 {
		a := r.do(http.MethodPost, "/ingest", fmt.Sprintf(`{"url":"http://a.test/%d"}`, n), "X-Idempotency-Key", fmt.Sprint("k", n))
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	}
	form := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nwords\r\n--x--\r\n"
	address := `{"url":"http://a.test/next"}`
	for name, c := range map[string]struct {
		body    io.Reader
		kind    string
		guesses bool // the submission comes to the database before the key was looked up
	}{
		"an address":            {strings.NewReader(address), "application/json", true},
		"a text":                {strings.NewReader(`{"text":"words of a text","source":"notes"}`), "application/json", false},
		"a file":                {strings.NewReader(form), "multipart/form-data; boundary=x", false},
		"a long body":           {strings.NewReader(address + strings.Repeat(" ", 65<<10)), "application/json", false},
		"a body of some length": {io.MultiReader(strings.NewReader(address)), "application/json", false},
	} {
		r.exec(`update api_keys set revoked_at = null`)
		known := r.do(http.MethodPost, "/ingest", `{"url":"http://a.test/`+strings.ReplaceAll(name, " ", "-")+`"}`, "X-Idempotency-Key", name)
		require.Equal(t, http.StatusAccepted, known.status)
		r.exec(`update api_keys set revoked_at = now()`)
		trips.Take()
		a, err := r.try(http.MethodPost, "/ingest", c.body, "Authorization", "Bearer "+r.key, "Content-Type", c.kind, "X-Idempotency-Key", "new")
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, a.status, name)
		sent := strings.Join(trips.Take(), "; ")
		require.NotContains(t, sent, "ingest_upload", name)
		require.Equal(t, c.guesses, strings.Contains(sent, "queue_ingestion"), name)
	}
}
