package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/store/tenants"
)

type keyView struct {
	KeyID      string     `json:"key_id"`
	Role       string     `json:"role"`
	Secret     string     `json:"secret"`
	LastUsedAt *time.Time `json:"last_used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

func TestAWorkspaceIsMadeAndChanged(t *testing.T) {
	r := newFixture(t)
	type view struct {
		ID      string `json:"workspace_id"`
		Name    string
		TuneCap int `json:"tune_cap"`
		Limits  map[string]*int
	}
	made := r.admin(http.MethodPost, "/admin/workspaces", `{"name":"research","limits":{"queue_depth":7,"queries_per_minute":0}}`)
	require.Equal(t, http.StatusCreated, made.status, string(made.body))
	w := into[view](t, made)
	require.Equal(t, 2, w.TuneCap)
	require.Equal(t, 7, *w.Limits["queue_depth"])
	require.Nil(t, w.Limits["queries_per_minute"])
	at := made.header.Get("Location")
	require.Equal(t, w, into[view](t, r.admin(http.MethodGet, at, "")))
	w = into[view](t, r.admin(http.MethodPatch, at, `{"tune_cap":9,"limits":{"queue_depth":0,"submissions_per_minute":5}}`))
	require.Equal(t, 9, w.TuneCap)
	require.Equal(t, "research", w.Name)
	require.Nil(t, w.Limits["queue_depth"])
	require.Equal(t, 5, *w.Limits["submissions_per_minute"])
	for taken, a := range map[string]answer{
		"research": r.admin(http.MethodPost, "/admin/workspaces", `{"name":"research"}`),
		"alpha":    r.admin(http.MethodPatch, at, `{"name":"alpha"}`),
	} {
		require.Equal(t, http.StatusConflict, a.status)
		require.Contains(t, string(a.body), `A workspace named \"`+taken+`\" exists already.`)
	}

	var names []string
	for cursor := ""; ; {
		page := into[struct {
			Items []view
			Next  *string `json:"next_cursor"`
		}](t, r.admin(http.MethodGet, "/admin/workspaces?limit=2&cursor="+cursor, ""))
		for _, w := range page.Items {
			names = append(names, w.Name)
		}
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	require.Equal(t, []string{"research", "beta", "alpha"}, names)

	for body, field := range map[string]string{
		`{}`:           "name",
		`{"name":" "}`: "name",
		`{"name":"` + strings.Repeat("n", 101) + `"}`: "name",
		`{"name":"a\nb"}`:                                    "name",
		`{"name":"x","tune_cap":0}`:                          "tune_cap",
		`{"name":"x","tune_cap":1001}`:                       "tune_cap",
		`{"name":"x","limits":{"queue_depth":-1}}`:           "limits.queue_depth",
		`{"name":"x","limits":{"queries_per_minute":1e9}}`:   "limits.queries_per_minute",
		`{"name":"x","limits":{"submissions_per_minute":[]}`: "",
	} {
		a := r.admin(http.MethodPost, "/admin/workspaces", body)
		require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusBadRequest}, a.status, body)
		require.Contains(t, string(a.body), `"field":"`+field)
	}
	require.Equal(t, 3, r.count(`select count(*) from workspaces`))
	for _, path := range []string{"/admin/workspaces/018f0000-0000-7000-8000-000000000000", "/admin/workspaces/alpha"} {
		require.Equal(t, http.StatusNotFound, r.admin(http.MethodGet, path, "").status)
		require.Equal(t, http.StatusNotFound, r.admin(http.MethodPatch, path, `{"tune_cap":3}`).status)
		require.Equal(t, http.StatusNotFound, r.admin(http.MethodGet, path+"/keys", "").status)
		require.Equal(t, http.StatusNotFound, r.admin(http.MethodPost, path+"/keys", `{"name":"k","role":"viewer"}`).status)
	}
}

// A higher cap admits at once what has waited for it.
func TestARaisedCapAdmitsWaitingTunes(t *testing.T) {
	r := newFixture(t).withSample()
	for i := range 4 {
		require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", fmt.Sprint(i)).status)
	}
	const admitted = `select count(*) from tunes where admitted`
	require.Equal(t, 2, r.count(admitted))
	require.Equal(t, http.StatusOK, r.admin(http.MethodPatch, "/admin/workspaces/"+r.alpha.ID.String(), `{"tune_cap":3}`).status)
	require.Equal(t, 3, r.count(admitted))
	require.Equal(t, 3, r.count(`select count(*) from river_job where state = 'available'`))
}

func TestAKeyIsShownOnceAndWorksUntilRevoked(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = 20 * time.Millisecond })
	keys := "/admin/workspaces/" + r.beta.ID.String() + "/keys"
	made := r.admin(http.MethodPost, keys, `{"name":"ci","role":"member"}`)
	require.Equal(t, http.StatusCreated, made.status, string(made.body))
	key := into[keyView](t, made)
	require.Regexp(t, `^mr_[A-Za-z0-9_-]{32}$`, key.Secret)
	require.NotContains(t, string(r.admin(http.MethodGet, keys, "").body), key.Secret)
	require.Zero(t, r.count(`select count(*) from api_keys where position('`+key.Secret+`' in api_keys::text) > 0`))
	as := []string{"Authorization", "Bearer " + key.Secret}
	own := into[map[string]any](t, r.do(http.MethodGet, "/workspace", "", as...))
	require.Equal(t, "beta", own["name"])
	require.Equal(t, "member", own["role"])

	stream, _ := r.openStream(t.Context(), "/events/stream", as...)
	require.Equal(t, http.StatusNoContent, r.admin(http.MethodDelete, keys+"/"+key.KeyID, "").status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/workspace", "", as...).status)
	ended(t, stream)
	require.Equal(t, http.StatusNoContent, r.admin(http.MethodDelete, keys+"/"+key.KeyID, "").status, "again changes nothing")
	listed := into[struct{ Items []keyView }](t, r.admin(http.MethodGet, keys, "")).Items
	require.Len(t, listed, 2)
	require.Equal(t, key.KeyID, listed[0].KeyID)
	require.NotNil(t, listed[0].RevokedAt)
	require.NotNil(t, listed[0].LastUsedAt)

	foreign := "/admin/workspaces/" + r.alpha.ID.String() + "/keys/" + key.KeyID
	require.Equal(t, http.StatusNotFound, r.admin(http.MethodDelete, foreign, "").status)
	require.Equal(t, http.StatusNotFound, r.admin(http.MethodDelete, keys+"/nothing", "").status)
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	lasting := into[keyView](t, r.admin(http.MethodPost, keys, `{"name":"short","role":"viewer","expires_at":"`+soon+`"}`))
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+lasting.Secret).status)
	r.exec(`update api_keys set expires_at = now() where id = $1`, lasting.KeyID)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+lasting.Secret).status)
	for _, body := range []string{`{"name":"k"}`, `{"role":"viewer"}`, `{"name":"k","role":"god"}`, `{"name":"k","role":"viewer","expires_at":"2001-01-01T00:00:00Z"}`} {
		require.Equal(t, http.StatusUnprocessableEntity, r.admin(http.MethodPost, keys, body).status, body)
	}
}

func TestAKeyMakesNoKeyThatMayDoMore(t *testing.T) {
	r := newFixture(t)
	by := func(role tenants.Role) []string {
		return []string{"Authorization", "Bearer " + r.newKey(r.alpha, role)}
	}
	for _, test := range []struct {
		by, makes tenants.Role
		status    int
	}{
		{tenants.RoleOwner, tenants.RoleOwner, http.StatusCreated},
		{tenants.RoleAdmin, tenants.RoleAdmin, http.StatusCreated},
		{tenants.RoleAdmin, tenants.RoleOwner, http.StatusForbidden},
		{tenants.RoleMember, tenants.RoleViewer, http.StatusForbidden},
		{tenants.RoleViewer, tenants.RoleViewer, http.StatusForbidden},
	} {
		a := r.do(http.MethodPost, "/workspace/keys", `{"name":"k of `+string(test.makes)+`","role":"`+string(test.makes)+`"}`, by(test.by)...)
		require.Equal(t, test.status, a.status, "%s makes %s", test.by, test.makes)
		if a.status == http.StatusCreated {
			require.Equal(t, r.alpha.ID.String(), into[map[string]any](t, a)["workspace_id"])
		}
	}
	owners := into[struct{ Items []keyView }](t, r.do(http.MethodGet, "/workspace/keys", "")).Items
	for _, k := range owners {
		if k.Role == "owner" {
			require.Equal(t, http.StatusForbidden, r.do(http.MethodDelete, "/workspace/keys/"+k.KeyID, "", by(tenants.RoleAdmin)...).status)
			require.Equal(t, http.StatusNotFound, r.do(http.MethodDelete, "/workspace/keys/"+k.KeyID, "", "Authorization", "Bearer "+r.other).status)
		}
	}
	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, "/workspace/keys/"+owners[0].KeyID, "").status)
	require.Equal(t, 1, r.count(`select count(*) from api_keys where revoked_at is not null`))
}

func TestAnExpiredKeyIsRefusedWithItsDate(t *testing.T) {
	r := newFixture(t)
	secret := r.newKey(r.alpha, tenants.RoleViewer)
	r.exec(`update api_keys set expires_at = '2026-01-02 03:04:05+00' where role = 'viewer'`)
	a := r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+secret)
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Contains(t, string(a.body), "This key expired on 2026-01-02; create another under Workspaces.")
	r.exec(`update api_keys set revoked_at = now() where role = 'viewer'`)
	a = r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+secret)
	require.Contains(t, string(a.body), "The key is unknown or was revoked.")
}

// Wherever a request names a workspace, it is the key's own.
func TestEveryMentionOfAWorkspaceAgrees(t *testing.T) {
	r := newFixture(t).withSample()
	own, foreign := r.alpha.ID.String(), r.beta.ID.String()
	naming := func(id string) string { return `{"workspace_id":"` + id + `",` + smallTune[1:] }
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune?workspace_id="+strings.ToUpper(own), naming(own),
		"X-Idempotency-Key", "k", "X-Workspace-Id", own).status)
	for _, bad := range []string{foreign, "alpha", "''"} {
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodPost, "/backtests/tune", naming(bad), "X-Idempotency-Key", "body").status, bad)
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/datasets?workspace_id="+bad, "").status, bad)
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/datasets?workspace_id="+own+"&workspace_id="+bad, "").status, bad)
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/events/stream?workspace_id="+bad, "").status, bad)
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/datasets", "", "X-Workspace-Id", bad).status, bad)
		require.Equal(t, http.StatusBadRequest, r.admin(http.MethodGet, "/admin/workspaces/"+own, "", "X-Workspace-Id", bad).status, bad)
		require.Equal(t, http.StatusBadRequest, r.admin(http.MethodPatch, "/admin/workspaces/"+own+"?workspace_id="+bad, `{}`).status, bad)
		require.Equal(t, http.StatusBadRequest, r.admin(http.MethodPost, "/admin/events/ticket", `{"workspace_id":"`+own+`"}`, "X-Workspace-Id", bad).status, bad)
	}
}
