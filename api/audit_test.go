package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store/tenants"
)

type auditView struct {
	Seq         int64
	WorkspaceID string `json:"workspace_id"`
	Actor       struct {
		Kind, ID, Name, Role string
		Console              bool
	}
	Route     string
	Entity    struct{ Type, ID string }
	From      string
	RequestID string `json:"request_id"`
	Outcome   string
	Before    map[string]any
	After     map[string]any
}

// audits are all entries, the oldest first.
func (r *fixture) audits() []auditView {
	r.t.Helper()
	pool := r.db.OwnerPool(r.t)
	defer pool.Close()
	_, err := pool.Exec(r.t.Context(), `select audit_seal(null, 100000)`)
	require.NoError(r.t, err)
	rows, err := pool.Query(r.t.Context(), `select entry from audit_log order by entry::jsonb ->> 'at', seq`)
	require.NoError(r.t, err)
	var all []auditView
	for rows.Next() {
		var entry []byte
		require.NoError(r.t, rows.Scan(&entry))
		for _, secret := range []string{adminToken, r.key, "mr_", "ma_", "strategy("} {
			require.NotContains(r.t, string(entry), secret)
		}
		var view auditView
		require.NoError(r.t, json.Unmarshal(entry, &view), string(entry))
		all = append(all, view)
	}
	require.NoError(r.t, rows.Err())
	return all
}

// changes has what every route needs that changes something.
type changes struct {
	*neighbours
	routes   []api.Route
	replaced *strings.Replacer // the parameters of an admin's paths
}

func newChanges(t *testing.T) *changes {
	t.Helper()
	n := newNeighbours(t)
	require.Equal(t, http.StatusOK, n.do(http.MethodPost, "/query", `{"question":"What is nowhere in here?","mode":"retrieve"}`).status)
	gaps := into[struct {
		Items []struct {
			RunID string `json:"run_id"`
		}
	}](t, n.admin(http.MethodGet, "/admin/coverage/gaps", ""))
	require.NotEmpty(t, gaps.Items)
	newAdmin := n.newAdmin("grace")
	spare := n.newKey(n.alpha, tenants.RoleViewer)
	principal, err := n.store.Tenants.KeyBySecret(t.Context(), spare)
	require.NoError(t, err)
	routes := slices.DeleteFunc(n.server.Table(), func(r api.Route) bool { return !r.Audited })
	slices.SortStableFunc(routes, func(a, b api.Route) int { return strings.Compare(order(a), order(b)) })
	require.Greater(t, len(routes), 25)
	return &changes{n, routes, strings.NewReplacer("gaps/:id", "gaps/"+gaps.Items[0].RunID, ":id", n.alpha.ID.String(), ":token", newAdmin.TokenID,
		":key", principal.KeyID.String(), ":job", "job-runs")}
}

func (c *changes) path(route api.Route) string {
	if !strings.HasPrefix(route.Path, "/admin/") {
		return c.at(route)
	}
	return c.replaced.Replace(route.Path)
}

// by is who makes a route's change, in which workspace's log it is then, and the headers that say so.
func (c *changes) by(route api.Route) (headers []string, kind, workspace string) {
	switch {
	case route.Access == "admin token":
		return []string{"X-Admin-Token", adminToken}, "admin", c.alpha.ID.String()
	case route.Path == "/workspace": // of the other workspace, as the rest needs this one
		return []string{"Authorization", "Bearer " + c.other}, "key", uuid.Nil.String()
	}
	return []string{"Authorization", "Bearer " + c.key}, "key", c.alpha.ID.String()
}

// ask makes a route's change.
func (c *changes) ask(route api.Route) answer {
	c.t.Helper()
	as, _, _ := c.by(route)
	target, body := c.path(route), c.sample(route)
	switch route.Path {
	case "/datasets":
		return c.upload(c.key, "another", lines(ohlcv.Sample(), 0, 800))
	case "/datasets/:id/bars":
		return c.extend("another", lines(ohlcv.Sample(), 790, 900), nil)
	case "/datasets/:id", "/backtests/tunes/:id", "/backtests/wfo/:id", "/run-plans/:id": // what runs again is cancelled
		if route.Method == http.MethodDelete {
			target += "?cascade=true"
		}
	case "/workspace":
		target, body = "/workspace?confirm="+c.beta.Name, ""
	case "/admin/workspaces/:id":
		if route.Method == http.MethodDelete {
			target += "?confirm=" + c.alpha.Name
		}
	}
	return c.call(route, target, body, as...)
}

// sample is an example of the route that can be made beside what newNeighbours has made.
func (c *changes) sample(route api.Route) string {
	switch {
	case strings.HasPrefix(route.Path, "/ingest/") && route.Creates && !strings.HasSuffix(route.Path, "/retry"):
		return `{"url":"https://www.youtube.com/watch?v=aaaaaaaaaaa"}`
	case route.Path == "/workspace/keys", route.Path == "/schedules": // whose example is there already
		return strings.Replace(route.Sample, `"name": "`, `"name": "another `, 1)
	}
	return route.Sample
}

// Every route that changes something leaves exactly one entry, which says who, what and from where. What is refused
// and what is answered again leaves none.
func TestEveryChangeLeavesOneEntry(t *testing.T) {
	n := newChanges(t)
	none := map[string]int{
		"POST /backtests/tunes/:id/explain": http.StatusConflict, // it has not run
		"POST /ingest/jobs/:id/retry":       http.StatusConflict, // it was sent, and is not kept
	}
	for _, route := range n.routes {
		name := route.Method + " " + route.Path
		as, kind, workspace := n.by(route)
		before := len(n.audits())
		wrong := n.path(route)
		if kind == "admin" {
			wrong = anyParameter.ReplaceAllString(route.Path, "/"+uuid.NewString())
		}
		require.GreaterOrEqual(t, n.call(route, wrong, `{"no such member":1}`, append(as, "Content-Type", "text/plain", "X-Workspace-Id", uuid.NewString())...).status, 400, name)
		require.Len(t, n.audits(), before, "%s: what is refused leaves an entry", name)
		a := n.ask(route)
		if status := none[name]; status != 0 {
			require.Equal(t, status, a.status, "%s: %s", name, a.body)
			require.Len(t, n.audits(), before, name)
			continue
		}
		require.Less(t, a.status, 300, "%s: %s", name, a.body)
		if route.Path == "/bulk" { // its example only counts
			require.Len(t, n.audits(), before, "%s: a dry run leaves an entry", name)
			continue
		}
		all := n.audits()
		require.Len(t, all, before+1, name)
		last := all[len(all)-1]
		require.Equal(t, name, last.Route)
		require.Equal(t, kind, last.Actor.Kind, name)
		require.NotEmpty(t, last.Actor.Name, name)
		require.NotEmpty(t, last.Entity.Type, name)
		require.NotEmpty(t, last.Entity.ID, "%s: %+v", name, last)
		require.Equal(t, "127.0.0.1", last.From, name)
		require.Equal(t, a.header.Get("X-Request-Id"), last.RequestID, name)
		if kind == "key" {
			require.Equal(t, workspace, last.WorkspaceID, name)
		}
		if route.Method == http.MethodPatch || route.Method == http.MethodPut {
			require.NotEmpty(t, last.Before, "%s: what was before is not in the log", name)
			require.NotEmpty(t, last.After, "%s: what is after is not in the log", name)
		}
		if route.Creates {
			again, err := n.try(route.Method, n.path(route), strings.NewReader(n.sample(route)), append(as, "X-Idempotency-Key", fmt.Sprint("matrix ", n.keys), "Content-Type", "application/json")...)
			require.NoError(t, err)
			require.Equal(t, a.status, again.status, "%s: %s", name, again.body)
			require.Len(t, n.audits(), before+1, "%s: what is answered again leaves an entry", name)
		}
	}
}

// order has what is made come before what ends it.
func order(r api.Route) string {
	switch {
	case r.Method == http.MethodDelete && r.Path == "/admin/workspaces/:id": // with all that it has
		return "4"
	case r.Method == http.MethodDelete && r.Path == "/datasets/:id": // with all that depends on it
		return "3"
	case r.Method == http.MethodDelete:
		return "2 " + r.Path
	case strings.HasSuffix(r.Path, "/cancel"):
		return "1 cancel " + r.Path
	case strings.HasSuffix(r.Path, "/retry"): // what is cancelled by then
		return "1 retry " + r.Path
	}
	return "0 " + r.Path
}

func TestSignInsAndWhatTheConsoleChangesAreInTheAuditLog(t *testing.T) {
	r := newFixture(t).withSample()
	tune := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k")
	require.Equal(t, http.StatusAccepted, tune.status)
	id := into[struct {
		TuneID string `json:"tune_id"`
	}](t, tune).TuneID
	before := len(r.audits())
	session := r.signIn(r.key)
	require.Equal(t, http.StatusSeeOther, r.noFollow(session, "/admin/tunes/"+id+"/cancel"))
	refused, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"mr_wrong"}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, refused.status)
	require.Equal(t, http.StatusNoContent, r.with(session, http.MethodPost, "/admin/logout", "", "Sec-Fetch-Site", "same-origin").status)
	require.Equal(t, http.StatusNoContent, r.with(session, http.MethodPost, "/admin/logout", "", "Sec-Fetch-Site", "same-origin").status)
	got := r.audits()[before:]
	require.Len(t, got, 4)
	for i, want := range []struct{ route, outcome, kind string }{
		{"POST /admin/login", "ok", "key"}, {"POST /backtests/tunes/:id/cancel", "ok", "key"}, {"POST /admin/login", "refused", "nobody"}, {"POST /admin/logout", "ok", "key"},
	} {
		require.Equal(t, want.route, got[i].Route)
		require.Equal(t, want.outcome, got[i].Outcome)
		require.Equal(t, want.kind, got[i].Actor.Kind)
		require.True(t, got[i].Actor.Console)
	}
	require.Equal(t, id, got[1].Entity.ID)
	require.Equal(t, "owner", got[1].Actor.Role)

	// A named admin is named, with what was before and is after.
	ada := r.newAdmin("ada")
	changed := r.do(http.MethodPatch, "/admin/workspaces/"+r.alpha.ID.String(), `{"tune_cap":7}`, "Authorization", "Bearer "+ada.Secret)
	require.Equal(t, http.StatusOK, changed.status, string(changed.body))
	all := r.audits()
	last := all[len(all)-1]
	require.Equal(t, "ada", last.Actor.Name)
	require.Equal(t, ada.TokenID, last.Actor.ID)
	require.EqualValues(t, 2, last.Before["tune_cap"])
	require.EqualValues(t, 7, last.After["tune_cap"])
	require.Equal(t, r.alpha.ID.String(), last.WorkspaceID, "the workspace sees what an admin did to it")
}

// noFollow sends a form of the console's and returns the status.
func (r *fixture) noFollow(session *http.Cookie, path string) int {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+path, http.NoBody)
	require.NoError(r.t, err)
	req.AddCookie(session)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	return resp.StatusCode
}

func TestAWorkspaceReadsItsOwnAuditLog(t *testing.T) {
	r := newFixture(t)
	for _, name := range []string{"k1", "k2", "k3"} {
		require.Equal(t, http.StatusCreated, r.do(http.MethodPost, "/workspace/keys", `{"name":"`+name+`","role":"viewer"}`).status)
	}
	require.Equal(t, http.StatusCreated, r.do(http.MethodPost, "/workspace/keys", `{"name":"theirs","role":"viewer"}`, "Authorization", "Bearer "+r.other).status)
	type list struct {
		Items []auditView
		Next  *string `json:"next_cursor"`
	}
	page := into[list](t, r.do(http.MethodGet, "/audit?limit=2", ""))
	require.Len(t, page.Items, 2)
	require.NotNil(t, page.Next)
	rest := into[list](t, r.do(http.MethodGet, "/audit?limit=2&cursor="+*page.Next, ""))
	require.Len(t, rest.Items, 1)
	require.Nil(t, rest.Next)
	require.EqualValues(t, []int64{3, 2, 1}, []int64{page.Items[0].Seq, page.Items[1].Seq, rest.Items[0].Seq})
	admin := r.admin(http.MethodGet, "/admin/audit?workspace_id="+r.beta.ID.String(), "")
	require.Equal(t, "theirs", into[list](t, admin).Items[0].After["name"])
	export := r.do(http.MethodGet, "/audit?format=jsonl", "")
	require.Equal(t, 3, strings.Count(string(export.body), "\n"))
	require.NotContains(t, string(export.body), "theirs")
	require.True(t, strings.HasPrefix(export.header.Get("Audit-Head"), "3:"))
	for _, bad := range []string{"format=xml", "cursor=x", "cursor=0", "limit=0"} {
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/audit?"+bad, "").status, bad)
	}
	for _, role := range []tenants.Role{tenants.RoleViewer, tenants.RoleMember} {
		require.Equal(t, http.StatusForbidden, r.do(http.MethodGet, "/audit", "", "Authorization", "Bearer "+r.newKey(r.alpha, role)).status)
	}
}
