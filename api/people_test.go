package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"millrace/api"
	"millrace/store/tenants"
)

// signIn begins a session with a token or a key.
func (r *fixture) signIn(token string) *http.Cookie {
	r.t.Helper()
	a, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"`+token+`"}`), "Content-Type", "application/json")
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, a.status, string(a.body))
	return cookieOf(r.t, a, "millrace_session")
}

// page is the path of a console's route to what the first workspace owns.
func (n *neighbours) page(route api.Route) string {
	path := route.Path
	for prefix, of := range map[string]string{
		"/admin/tunes/": "/backtests/tunes/", "/admin/wfo/": "/backtests/wfo/", "/admin/strategies/": "/strategies/",
		"/admin/runs/": "/backtests/runs/", "/admin/ingestion/documents/": "/documents/",
		"/admin/schedules/": "/schedules/",
	} {
		if rest, ok := strings.CutPrefix(path, prefix+":id"); ok {
			path = prefix + n.ids[of] + rest
		}
	}
	return anyParameter.ReplaceAllString(strings.TrimSuffix(path, "*"), "/0")
}

// echoed is where a page says what it was asked for.
var echoed = regexp.MustCompile(`No [a-z -]+ &#34;[^&]*&#34; here`)

func asBrowser(session *http.Cookie) []string {
	return []string{"Cookie", session.Name + "=" + session.Value, "Sec-Fetch-Site", "same-origin", "Accept", "text/html", "Content-Type", "application/x-www-form-urlencoded"}
}

// Every route of the console × every role: what a role may not do is refused, and no page that it may see
// shows a form or a link to it. What belongs to another workspace is nowhere.
func TestAPersonSeesAndDoesWhatTheRoleOfTheKeyAllows(t *testing.T) {
	n := newNeighbours(t)
	table := n.server.Table()
	foreigner := n.signIn(n.newKey(n.beta, tenants.RoleOwner))
	denied, opened, shown := 0, 0, 0
	var changes []func()
	for _, role := range tenants.Roles() {
		session := n.signIn(n.newKey(n.alpha, role))
		for _, route := range table {
			if route.Role == "" && route.Access != "admin token" || !route.Page && route.Access != "admin token" {
				continue
			}
			name, path := fmt.Sprintf("%s %s for a %s", route.Method, route.Path, role), n.page(route)
			if route.Role == "" || !role.Includes(tenants.Role(route.Role)) {
				denied++
				require.Equal(t, http.StatusForbidden, n.call(route, path, "", asBrowser(session)...).status, name)
				continue
			}
			if route.Method != http.MethodGet {
				if role == tenants.RoleOwner {
					changes = append(changes, func() {
						a := n.call(route, path, "", asBrowser(session)...)
						require.False(t, a.status == http.StatusForbidden || a.status == http.StatusUnauthorized || a.status >= 500, "%s: %d %s", name, a.status, a.body)
					})
				}
				continue
			}
			opened++
			a := n.call(route, path, "", asBrowser(session)...)
			require.NotContains(t, []int{401, 403, 500}, a.status, name)
			if strings.Contains(a.header.Get("Content-Type"), "text/html") {
				shown += n.offersOnly(table, role, name, path, string(a.body))
			}
			other := n.call(route, path, "", asBrowser(foreigner)...)
			require.Less(t, other.status, 500, name)
			rest := echoed.ReplaceAllString(strings.ReplaceAll(string(other.body), path, ""), "")
			for _, mark := range n.marks {
				require.NotContains(t, rest, mark, "%s of another workspace", name)
			}
		}
	}
	for _, change := range changes {
		change()
	}
	require.Greater(t, denied, 60)
	require.Greater(t, opened, 60)
	require.Greater(t, shown, 500)
	t.Logf("%d requests were denied, %d pages opened with %d links and forms", denied, opened, shown)
}

// offersOnly counts the links and forms of a page, each of which has to be for the role.
func (n *neighbours) offersOnly(table []api.Route, role tenants.Role, name, at, page string) (count int) {
	n.t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(n.t, err)
	base, err := url.Parse(at)
	require.NoError(n.t, err)
	for node := range root.Descendants() {
		method, address, attribute := http.MethodGet, "", map[string]string{}
		for _, a := range node.Attr {
			attribute[a.Key] = a.Val
		}
		switch node.Data {
		case "a":
			address = attribute["href"]
		case "form":
			address = attribute["action"]
			if strings.EqualFold(attribute["method"], http.MethodPost) {
				method = http.MethodPost
			}
		default:
			continue
		}
		to, err := base.Parse(address)
		require.NoError(n.t, err)
		if to.Host != "" || strings.HasPrefix(address, "#") {
			continue
		}
		count++
		route := routeOf(table, method, to.Path)
		require.NotEmpty(n.t, route.Access, "%s has %s %s, which is not a route", name, method, address)
		allowed := route.Access == "public" || route.Role != "" && role.Includes(tenants.Role(route.Role))
		require.True(n.t, allowed, "%s shows %s %s, which is for %s", name, method, address, route.Access)
	}
	return count
}

// routeOf finds the route of a path, as the router does: a literal goes before a parameter.
func routeOf(table []api.Route, method, path string) (found api.Route) {
	for _, route := range table {
		if route.Method != method {
			continue
		}
		pattern := "^" + anyParameter.ReplaceAllString(strings.ReplaceAll(route.Path, "*", ".*"), "/[^/]+") + "$"
		if route.Path == path {
			return route
		}
		if found.Path == "" && regexp.MustCompile(pattern).MatchString(path) {
			found = route
		}
	}
	return found
}

// What ends a key ends the sessions that it began, in every process, and the streams that they opened.
func TestASessionAndItsStreamsEndWithItsKey(t *testing.T) {
	r := newFixture(t)
	second := *r
	second.url = r.another(func(*api.Options) {})
	for name, end := range map[string]string{
		"revoked":               `update api_keys set revoked_at = now() where id = $1`,
		"expired":               `update api_keys set expires_at = now() where id = $1`,
		"another role":          `update api_keys set role = 'member' where id = $1`,
		"the workspace deleted": `delete from workspaces where id = (select workspace_id from api_keys where id = $1)`,
	} {
		t.Run(name, func(t *testing.T) {
			space, err := r.store.Tenants.CreateWorkspace(t.Context(), name, 1)
			require.NoError(t, err)
			key := r.newKey(space, tenants.RoleViewer)
			principal, err := r.store.Tenants.KeyBySecret(t.Context(), key)
			require.NoError(t, err)
			session := r.signIn(key)
			ticket := r.ticket(space.ID, session)
			cookies := []string{"Authorization", "", "Cookie", session.Name + "=" + session.Value}
			byTicket := []string{"Authorization", "", "Cookie", ticket.Name + "=" + ticket.Value}
			var streams []<-chan frame
			for _, path := range []string{"/events/stream", "/admin/events/stream"} {
				for _, as := range [][]string{cookies, byTicket} {
					frames, resp := second.openStream(t.Context(), path, as...)
					require.Equal(t, http.StatusOK, resp.StatusCode, path)
					streams = append(streams, frames)
				}
			}
			require.Equal(t, http.StatusOK, second.with(session, http.MethodGet, "/admin/tunes", "").status)
			_, err = r.db.OwnerPool(t).Exec(t.Context(), end, principal.KeyID)
			require.NoError(t, err)
			for _, process := range []*fixture{r, &second} {
				require.Equal(t, http.StatusUnauthorized, process.with(session, http.MethodGet, "/admin/tunes", "").status)
			}
			for _, frames := range streams {
				ended(t, frames)
			}
		})
	}
}

// A stream looks again once a second whether what opened it holds: it ends within two.
func TestTheWatchOfStreamsAsksOnceForAll(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Recheck = 20 * time.Millisecond })
	session := r.signIn(r.newKey(r.alpha, tenants.RoleViewer))
	var streams []<-chan frame
	for range 5 {
		frames, _ := r.openStream(t.Context(), "/events/stream", "Authorization", "", "Cookie", session.Name+"="+session.Value)
		streams = append(streams, frames)
	}
	byKey, _ := r.openStream(t.Context(), "/events/stream")
	require.Equal(t, http.StatusNoContent, r.with(session, http.MethodPost, "/admin/logout", "", "Sec-Fetch-Site", "same-origin").status)
	for _, frames := range streams {
		ended(t, frames)
	}
	select {
	case _, open := <-byKey:
		require.True(t, open, "another's stream ended")
	default:
	}
}

// A session of a person opens the one workspace and nothing of an admin's, whatever the request names.
func TestAPersonsSessionNamesNoOtherWorkspace(t *testing.T) {
	r := newFixture(t).withSample()
	session := r.signIn(r.newKey(r.alpha, tenants.RoleOwner))
	for _, path := range []string{"/admin/tunes", "/admin/events/stream", "/events/stream"} {
		require.Equal(t, http.StatusBadRequest, r.with(session, http.MethodGet, path+"?workspace_id="+r.beta.ID.String(), "").status, path)
	}
	body := `{"workspace_id":"` + r.beta.ID.String() + `"}`
	require.Equal(t, http.StatusBadRequest, r.with(session, http.MethodPost, "/admin/events/ticket", body, "Sec-Fetch-Site", "same-origin").status)
	for _, choice := range []string{"/admin/access?workspace=" + r.beta.ID.String(), "/admin/access?workspace=beta"} {
		page := r.with(session, http.MethodGet, choice, "", "Accept", "text/html")
		require.Equal(t, http.StatusOK, page.status)
		require.NotContains(t, string(page.body), "beta</", choice)
	}
	form := url.Values{"workspace": {r.beta.ID.String()}, "name": {"mine"}, "role": {"owner"}}
	a := r.with(session, http.MethodPost, "/admin/access/keys", form.Encode(), asBrowser(session)[2:]...)
	require.Equal(t, http.StatusCreated, a.status, string(a.body))
	require.Zero(t, r.count(`select count(*) from api_keys where name = 'mine' and workspace_id = '`+r.beta.ID.String()+`'`))
	require.Equal(t, 1, r.count(`select count(*) from api_keys where name = 'mine' and workspace_id = '`+r.alpha.ID.String()+`'`))

	// An admin of the workspace makes no owner.
	admin := r.signIn(r.newKey(r.alpha, tenants.RoleAdmin))
	a = r.with(admin, http.MethodPost, "/admin/access/keys", form.Encode(), asBrowser(admin)[2:]...)
	require.Equal(t, http.StatusForbidden, a.status)
	// The stream of the fleet is the person's own workspace's.
	frames, _ := r.openStream(t.Context(), "/admin/events/stream?topics=backtests", "Authorization", "", "Cookie", session.Name+"="+session.Value)
	require.Equal(t, http.StatusCreated, r.upload(r.other, "sp500", []byte(manyBars())).status)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", plainTune, "X-Idempotency-Key", "k", "Authorization", "Bearer "+r.other).status)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
	require.Contains(t, next(t, frames).data, r.alpha.ID.String())
}

// A key that does not sign in says why, and guesses count against the limit of logins.
func TestAKeyThatDoesNotSignInSaysWhy(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Limits.Login = tenants.Rate{Most: 4, Window: time.Hour} })
	expired, revoked := r.newKey(r.alpha, tenants.RoleViewer), r.newKey(r.alpha, tenants.RoleViewer)
	for secret, change := range map[string]string{revoked: `revoked_at = now()`, expired: `expires_at = now()`} {
		principal, err := r.store.Tenants.KeyBySecret(t.Context(), secret)
		require.NoError(t, err)
		_, err = r.db.OwnerPool(t).Exec(t.Context(), `update api_keys set `+change+` where id = $1`, principal.KeyID)
		require.NoError(t, err)
	}
	try := func(token string) answer {
		a, err := r.try(http.MethodPost, "/admin/login", strings.NewReader(`{"token":"`+token+`"}`))
		require.NoError(t, err)
		require.NotContains(t, string(a.body), token)
		return a
	}
	require.Contains(t, string(try(expired).body), "This key expired on ")
	require.Contains(t, string(try(revoked).body), "unknown or was revoked")
	require.Contains(t, string(try("mr_guess").body), "unknown or was revoked")
	require.Equal(t, http.StatusUnauthorized, try("ma_guess").status)
	require.Equal(t, http.StatusTooManyRequests, try(r.key).status)
}

// A key that has expired is shown as one that has.
func TestAnExpiredKeyIsShownAsExpired(t *testing.T) {
	r := newFixture(t)
	admin := r.logIn()
	for text, at := range map[string]string{"expired 20": `now() - interval '1 day'`, "until 20": `now() + interval '90 days'`} {
		_, err := r.db.OwnerPool(t).Exec(t.Context(), `update api_keys set expires_at = `+at+` where workspace_id = $1`, r.alpha.ID)
		require.NoError(t, err)
		page := r.with(admin, http.MethodGet, "/admin/access?workspace="+r.alpha.ID.String(), "", "Accept", "text/html")
		require.Contains(t, string(page.body), text)
	}
}

// The page of what is not there has the frame for who signed in, and names nothing to who has not.
func TestAPageThatIsNotThereShowsStrangersNoWorkspace(t *testing.T) {
	r := newFixture(t)
	for _, test := range []struct {
		as   []string
		name bool
	}{{nil, false}, {asBrowser(r.logIn()), true}, {asBrowser(r.signIn(r.newKey(r.alpha, tenants.RoleViewer))), true}} {
		a, err := r.try(http.MethodGet, "/admin/nothing-here", nil, append([]string{"Accept", "text/html"}, test.as...)...)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, a.status)
		require.Equal(t, test.name, strings.Contains(string(a.body), "alpha"))
	}
}
