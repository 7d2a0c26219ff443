package api_test

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/api/types"
	"millrace/store/tenants"
)

// forAnybody are the routes that ask for nothing, with the reason why.
var forAnybody = map[string]string{
	"GET /healthz": "says that it lives", "GET /readyz": "says ready or not", "GET /version": "says which",
	"GET /docs": "names no workspace", "GET /docs/openapi.json": "names no workspace", "GET /docs/asyncapi.json": "names no workspace", "GET /admin/assets/:name": "what login needs",
	"GET /admin/login/oidc": "the way in through a provider, throttled", "GET /admin/login/oidc/callback": "asks for a sign-in that this browser began",
	"GET /admin/login": "the way in", "POST /admin/login": "the way in, throttled", "POST /admin/logout": "ends what it is sent",
}

// neighbours are two workspaces of which the first has one of everything.
type neighbours struct {
	*library
	ids   map[string]string // by what comes before it in a path
	marks []string          // what nobody else may be shown
	keys  int
}

// newNeighbours has the first workspace own what every route of a workspace needs.
func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	n := &neighbours{library: newLibrary(t), ids: map[string]string{}}
	n.withSample()
	n.put(n.alpha, crossovers)
	n.ids["/datasets/"] = into[struct {
		Items []struct {
			DatasetID string `json:"dataset_id"`
		}
	}](t, n.do(http.MethodGet, "/datasets", "")).Items[0].DatasetID
	made := func(path, member, body string) string {
		a := n.do(http.MethodPost, path, body, "X-Idempotency-Key", fmt.Sprint("neighbours ", len(n.marks)))
		require.Less(t, a.status, 300, string(a.body))
		id, _ := into[map[string]any](t, a)[member].(string)
		require.NotEmpty(t, id, path)
		n.marks = append(n.marks, id)
		return id
	}
	samples := map[string]string{}
	for _, r := range n.server.Table() {
		samples[r.Path] = r.Sample
	}
	n.ids["/strategies/"] = made("/strategies", "strategy_id", samples["/strategies"])
	gone := n.do(http.MethodDelete, "/backtests/runs/"+made("/backtests/run", "run_id", samples["/backtests/run"]), "")
	n.ids["/deletions/"] = into[types.Deletion](t, gone).DeletionID
	n.ids["/backtests/runs/"] = made("/backtests/run", "run_id", samples["/backtests/run"])
	n.ids["/backtests/tunes/"] = made("/backtests/tune", "tune_id", samples["/backtests/tune"])
	n.ids["/backtests/wfo/"] = made("/backtests/wfo", "wfo_id", samples["/backtests/wfo"])
	n.ids["/run-plans/"] = made("/run-plans", "run_plan_id", samples["/run-plans"])
	n.ids["/schedules/"] = made("/schedules", "schedule_id", samples["/schedules"])
	n.ids["/ingest/jobs/"] = made("/ingest", "job_id", samples["/ingest"])
	n.ids["/documents/"] = made("/ingest", "document_id", `{"url":"https://example.com/notes"}`)
	// It has become a script, of which a strategy can be made.
	_, err := n.db.OwnerPool(t).Exec(t.Context(), `update documents set source_type = 'pine', metadata = jsonb_build_object('tunable', true, 'script', $2::text) where id = $1`,
		n.ids["/documents/"], documentScript)
	require.NoError(t, err)
	n.ids["/webhooks/"] = made("/webhooks", "webhook_id", samples["/webhooks"])
	n.ids["/webhooks/:id/deliveries/"] = made("/webhooks/"+n.ids["/webhooks/"]+"/test", "delivery_id", "")
	n.ids["/workspace/keys/"] = made("/workspace/keys", "key_id", samples["/workspace/keys"])
	n.marks = append(n.marks, n.alpha.ID.String(), n.key)
	return n
}

var (
	parameter    = regexp.MustCompile(`^(.*?/):[a-z]+(.*)$`)
	anyParameter = regexp.MustCompile(`/:[a-z]+`)
)

// at is the route's path to what the first workspace owns; a route without a case fails.
func (n *neighbours) at(route api.Route) string {
	n.t.Helper()
	parts := parameter.FindStringSubmatch(route.Path)
	if parts == nil {
		return strings.TrimSuffix(route.Path, "*")
	}
	if strings.HasPrefix(route.Path, "/admin/") {
		return anyParameter.ReplaceAllString(route.Path, "/"+n.alpha.ID.String()) // it does not get as far as to look
	}
	id := n.ids[parts[1]]
	require.NotEmpty(n.t, id, "%s %s: have newNeighbours make what it names", route.Method, route.Path)
	path := parts[1] + id + parts[2]
	if inner := parameter.FindStringSubmatch(parts[2]); inner != nil { // what it names is below another
		key := parts[1] + ":id" + inner[1]
		require.NotEmpty(n.t, n.ids[key], "%s %s: have newNeighbours make what it names", route.Method, route.Path)
		path = parts[1] + id + inner[1] + n.ids[key] + inner[2]
	}
	require.NotContains(n.t, path, "/:")
	return path
}

func (n *neighbours) call(route api.Route, path, body string, headers ...string) answer {
	n.t.Helper()
	n.keys++
	given := []string{"X-Idempotency-Key", fmt.Sprint("matrix ", n.keys)}
	if body != "" && strings.HasPrefix(body, "{") {
		given = append(given, "Content-Type", "application/json")
	}
	a, err := n.try(route.Method, path, strings.NewReader(body), append(given, headers...)...)
	require.NoError(n.t, err)
	return a
}

// rows is a sum over all that the first workspace has in any table.
func (n *neighbours) rows() map[string]string {
	n.t.Helper()
	pool := n.db.OwnerPool(n.t)
	defer pool.Close()
	found, err := pool.Query(n.t.Context(), `
		select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
		 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
		   and c.relname not in ('counters', 'counter_deltas', 'event_counts') -- follow the log, which is looked at`)
	require.NoError(n.t, err)
	var tables []string
	for found.Next() {
		var table string
		require.NoError(n.t, found.Scan(&table))
		tables = append(tables, table)
	}
	require.NoError(n.t, found.Err())
	sums := map[string]string{}
	for _, table := range tables {
		var sum string
		require.NoError(n.t, pool.QueryRow(n.t.Context(), `
			select count(*) || ' ' || md5(coalesce(string_agg(md5(t::text), '' order by md5(t::text)), '')) from `+table+` t where workspace_id = $1`,
			n.alpha.ID).Scan(&sum))
		sums[table] = sum
	}
	return sums
}

// Every route × every role × a foreign workspace: nothing of the other is shown, changed or made. The
// routes are those of the router: one without access in the table, or without a case here, fails.
func TestEveryRouteIsClosedToWhomItIsNotFor(t *testing.T) {
	n := newNeighbours(t)
	roles := tenants.Roles() // least first
	foreign, own := map[tenants.Role]string{}, map[tenants.Role]string{}
	for _, role := range roles {
		foreign[role], own[role] = n.newKey(n.beta, role), n.newKey(n.alpha, role)
	}
	revoked, expired := n.newKey(n.alpha, tenants.RoleOwner), n.newKey(n.alpha, tenants.RoleOwner)
	for secret, change := range map[string]string{revoked: `revoked_at = now()`, expired: `expires_at = now()`} {
		principal, err := n.store.Tenants.KeyBySecret(t.Context(), secret)
		require.NoError(t, err)
		n.exec(`update api_keys set `+change+` where id = $1`, principal.KeyID)
	}
	strangers := map[string][]string{
		"nobody": nil, "a guess": {"Authorization", "Bearer mr_guess"}, "a revoked key": {"Authorization", "Bearer " + revoked},
		"an expired key": {"Authorization", "Bearer " + expired}, "the admin token": {"Authorization", "Bearer " + adminToken},
		"the admin token in its header": {"X-Admin-Token", adminToken}, "a key in the query": {"Authorization", "Basic " + n.key},
	}
	before := n.rows()
	tried, public := 0, map[string]string{}
	for _, route := range n.server.Table() {
		name, path := route.Method+" "+route.Path, n.at(route)
		needed := tenants.Role(route.Access)
		switch {
		case route.Access == "":
			t.Errorf("%s is not in the table of routes", name)
		case route.Access == "public":
			require.NotEmpty(t, forAnybody[name], "%s: say why it is for anybody", name)
			public[name] = forAnybody[name]
		case needed.Includes(tenants.RoleViewer):
			for who, headers := range strangers {
				tried++
				require.Equal(t, http.StatusUnauthorized, n.call(route, path, route.Sample, headers...).status, "%s for %s", name, who)
			}
			for _, role := range roles {
				tried++
				n.foreign(route, path, role, needed, foreign[role])
			}
		}
	}
	require.Equal(t, forAnybody, public)
	require.Equal(t, before, n.rows(), "a foreign request left a trace")

	// A key may do what its role includes, and nothing else.
	for _, route := range n.server.Table() {
		needed := tenants.Role(route.Access)
		if !needed.Includes(tenants.RoleViewer) {
			continue
		}
		for _, role := range roles {
			if !role.Includes(needed) {
				tried++
				a := n.call(route, n.at(route), route.Sample, "Authorization", "Bearer "+own[role])
				require.Equal(t, http.StatusForbidden, a.status, "%s %s for %s", route.Method, route.Path, role)
			}
		}
	}
	t.Logf("%d requests were denied", tried)
	n.owned(own[tenants.RoleOwner])
}

// foreign makes sure that a key of the other workspace gets nothing out of a route.
func (n *neighbours) foreign(route api.Route, path string, role, needed tenants.Role, key string) {
	n.t.Helper()
	name := fmt.Sprintf("%s %s for a foreign %s", route.Method, route.Path, role)
	as := []string{"Authorization", "Bearer " + key}
	refused := http.StatusForbidden
	if role.Includes(needed) {
		refused = http.StatusBadRequest
	}
	for _, naming := range [][]string{{path, "X-Workspace-Id", n.alpha.ID.String()}, {path + "?workspace_id=" + n.alpha.ID.String()}, {path, "X-Workspace-Id", "alpha"}} {
		require.Equal(n.t, refused, n.call(route, naming[0], route.Sample, append(as, naming[1:]...)...).status, "%s: %v", name, naming)
	}
	if body, ok := strings.CutPrefix(route.Sample, "{"); ok && refused != http.StatusForbidden {
		named := n.call(route, path, `{"workspace_id":"`+n.alpha.ID.String()+`",`+body, as...)
		require.Equal(n.t, refused, named.status, "%s: %s", name, named.body)
	}
	if route.Streams || route.Method == http.MethodPost && path == route.Path && refused != http.StatusForbidden {
		return // what it makes is its own workspace's
	}
	a := n.call(route, path, route.Sample, as...)
	switch {
	case refused == http.StatusForbidden:
		require.Equal(n.t, refused, a.status, name)
	case path != route.Path:
		require.Equal(n.t, http.StatusNotFound, a.status, "%s: %s", name, a.body)
	default:
		require.Less(n.t, a.status, 500, name)
		for _, mark := range n.marks {
			require.NotContains(n.t, string(a.body), mark, name)
		}
	}
}

// owned makes sure that what was refused to others is there for its owner: the cases are none of thin
// air.
func (n *neighbours) owned(key string) {
	n.t.Helper()
	later := map[string]int{ // what work that has not run does not have yet
		"POST /backtests/tunes/:id/explain": http.StatusConflict, "GET /backtests/tunes/:id/explain": http.StatusNotFound,
		"GET /backtests/tunes/:id/manifest": http.StatusConflict, "GET /backtests/tunes/:id/export": http.StatusConflict,
		"POST /datasets/:id/bars":         http.StatusBadRequest, // there is no file
		"GET /backtests/wfo/:id/manifest": http.StatusConflict, "GET /backtests/wfo/:id/export": http.StatusConflict,
		"POST /ingest/jobs/:id/retry":        http.StatusConflict, // it was sent, and is not kept
		"GET /backtests/tunes/:id/tearsheet": http.StatusConflict, "GET /backtests/wfo/:id/tearsheet": http.StatusConflict,
	}
	var last []api.Route
	for _, route := range n.server.Table() {
		if !tenants.Role(route.Access).Includes(tenants.RoleViewer) || route.Streams {
			continue
		}
		if parameter.MatchString(route.Path) && route.Method != http.MethodGet {
			last = append(last, route)
		} else if route.Method == http.MethodGet {
			n.opens(route, key, later)
		}
	}
	// Last, as it takes along what depends on it; and retries after what cancels.
	order := func(r api.Route) int {
		return strings.Count(r.Path, "/datasets/")*2 + strings.Count(r.Path, "/retry")
	}
	slices.SortStableFunc(last, func(a, b api.Route) int { return cmp.Compare(order(a), order(b)) })
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		for _, route := range last {
			if route.Method == method {
				n.opens(route, key, later)
			}
		}
	}
}

func (n *neighbours) opens(route api.Route, key string, later map[string]int) {
	n.t.Helper()
	path := n.at(route)
	if strings.HasSuffix(path, "/compare") {
		path += "?ids=" + n.ids["/backtests/tunes/"]
	}
	if route.Method == http.MethodDelete && (strings.HasPrefix(path, "/backtests/") || strings.HasPrefix(path, "/run-plans/") || strings.HasPrefix(path, "/datasets/")) {
		path += "?cascade=true"
	}
	a := n.call(route, path, route.Sample, "Authorization", "Bearer "+key)
	if status := later[route.Method+" "+route.Path]; status != 0 {
		require.Equal(n.t, status, a.status, "%s %s: %s", route.Method, path, a.body)
		return
	}
	require.Less(n.t, a.status, 300, "%s %s: %s", route.Method, path, a.body)
}

// Every route of the admin's is closed to every key and to every cookie but a session's, and to what
// another site has a browser send with that.
func TestEveryAdminRouteIsClosed(t *testing.T) {
	n := newNeighbours(t)
	session := n.logIn()
	over := n.logIn()
	n.exec(`update admin_sessions set expires_at = now() where created_at = (select max(created_at) from admin_sessions)`)
	ticket := n.ticket(n.alpha.ID, session)
	cookie := func(c *http.Cookie) []string { return []string{"Cookie", c.Name + "=" + c.Value} }
	denied := map[string][]string{
		"nobody": nil, "an owner's key": {"Authorization", "Bearer " + n.key}, "an owner's key as a token": {"X-Admin-Token", n.key},
		"a wrong token": {"X-Admin-Token", adminToken + "x"}, "half of the token": {"Authorization", "Bearer " + adminToken[:16]}, "an ended session": cookie(over),
		"a guessed session": {"Cookie", "millrace_session=guess"}, "a ticket as a session": {"Cookie", "millrace_session=" + ticket.Value},
		"a wrong token beside a session": append(cookie(session), "X-Admin-Token", "x"), "a ticket": cookie(ticket),
	}
	elsewhere := map[string][]string{
		"silent": nil, "another origin": {"Origin", "https://evil.test"}, "another site": {"Sec-Fetch-Site", "cross-site", "Origin", n.url}, "a sandbox": {"Origin", "null"},
	}
	before, tried := n.rows(), 0
	for _, route := range n.server.Table() {
		page := strings.HasPrefix(route.Access, "page for ")
		if route.Access != "admin token" && route.Access != "admin token or ticket" && !page {
			continue
		}
		name, path := route.Method+" "+route.Path, n.at(route)
		for who, headers := range denied {
			if who == "a ticket" && route.Access == "admin token or ticket" {
				a := n.call(route, path+"?workspace_id="+n.beta.ID.String(), "", headers...)
				require.Equal(t, http.StatusBadRequest, a.status, "%s for a ticket of another workspace", name)
				continue
			}
			tried++
			a := n.call(route, path, route.Sample, headers...)
			require.Equal(t, http.StatusUnauthorized, a.status, "%s for %s", name, who)
		}
		if route.Method == http.MethodGet || route.Method == http.MethodHead {
			continue
		}
		for who, headers := range elsewhere {
			tried++
			a := n.call(route, path, route.Sample, append(cookie(session), headers...)...)
			require.Equal(t, http.StatusForbidden, a.status, "%s with a session, from %s", name, who)
		}
	}
	require.Equal(t, before, n.rows())
	require.Greater(t, tried, 500)
	t.Logf("%d requests were denied", tried)
}
