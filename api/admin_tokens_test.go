package api_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
)

type adminTokenView struct {
	TokenID   string  `json:"token_id"`
	Name      string  `json:"name"`
	Secret    string  `json:"secret"`
	RevokedAt *string `json:"revoked_at"`
}

// newAdmin makes a token for an admin of a name.
func (r *fixture) newAdmin(name string) adminTokenView {
	r.t.Helper()
	a := r.do(http.MethodPost, "/admin/tokens", `{"name":"`+name+`"}`, "Authorization", "Bearer "+adminToken)
	require.Equal(r.t, http.StatusCreated, a.status, string(a.body))
	return into[adminTokenView](r.t, a)
}

func TestAnAdminHasATokenByNameUntilItIsRevoked(t *testing.T) {
	r := newFixture(t)
	first, second := r.newAdmin("ada"), r.newAdmin("ada-2")
	require.NotEqual(t, first.Secret, second.Secret)
	open := func(token string) int {
		return r.do(http.MethodGet, "/admin/workspaces", "", "Authorization", "", "X-Admin-Token", token).status
	}
	require.Equal(t, http.StatusOK, open(first.Secret))
	require.Equal(t, http.StatusOK, open(second.Secret), "both work while one is replaced")
	session := r.signIn(first.Secret)
	page := r.with(session, http.MethodGet, "/admin", "", "Accept", "text/html")
	require.Contains(t, string(page.body), "ada")
	ticket := r.ticket(r.alpha.ID, session)
	streams := []<-chan frame{}
	for _, as := range [][]string{
		{"Authorization", "Bearer " + first.Secret}, {"Authorization", "", "Cookie", session.Name + "=" + session.Value},
		{"Authorization", "", "Cookie", ticket.Name + "=" + ticket.Value},
	} {
		frames, resp := r.openStream(t.Context(), "/admin/events/stream", as...)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		streams = append(streams, frames)
	}
	listed := r.do(http.MethodGet, "/admin/tokens", "", "Authorization", "Bearer "+second.Secret)
	require.NotContains(t, string(listed.body), first.Secret)
	require.Len(t, into[struct{ Items []adminTokenView }](t, listed).Items, 2)
	require.Zero(t, r.count(`select count(*) from admin_tokens t where strpos(t::text, '`+first.Secret+`') > 0`), "the secret is stored")

	gone := r.do(http.MethodDelete, "/admin/tokens/"+first.TokenID, "", "Authorization", "Bearer "+second.Secret)
	require.Equal(t, http.StatusNoContent, gone.status, string(gone.body))
	require.Equal(t, http.StatusUnauthorized, open(first.Secret))
	require.Equal(t, http.StatusOK, open(second.Secret))
	require.Equal(t, http.StatusUnauthorized, r.with(session, http.MethodGet, "/metrics", "").status)
	for _, frames := range streams {
		ended(t, frames)
	}
	for _, bad := range []string{`{}`, `{"name":"a\nb"}`, `{"name":"x","expires_at":"2001-01-01T00:00:00Z"}`} {
		require.Equal(t, http.StatusUnprocessableEntity, r.do(http.MethodPost, "/admin/tokens", bad, "Authorization", "Bearer "+adminToken).status, bad)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodDelete, "/admin/tokens/short", "", "Authorization", "Bearer "+adminToken).status)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/admin/tokens", "").status)
}

// ADMIN_TOKEN is replaced while requests arrive: server by server the next value is added, the clients move to
// it, and the last is taken away. No request is refused, and a session lasts as long as its token.
func TestTheAdminTokenIsReplacedUnderLoadWithoutARefusedRequest(t *testing.T) {
	const next = "the-next-admin-token-0123456789"
	r := newFixture(t)
	with := func(tokens string) string { return r.another(func(o *api.Options) { o.AdminToken = tokens }) }
	servers := [3]string{with(adminToken), with(adminToken + "\n" + next), with(next)}
	var stage atomic.Int32
	var token atomic.Value
	token.Store(adminToken)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var sent, refused atomic.Int64
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				// A proxy sends a request to a server of the version before or after, as in a rolling restart.
				from := stage.Load()
				as := token.Load().(string)
				req, err := http.NewRequest(http.MethodGet, servers[from]+"/admin/workspaces", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Admin-Token", as)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if sent.Add(1); resp.StatusCode != http.StatusOK {
					refused.Add(1)
				}
			}
		})
	}
	after := func(n int64) {
		until := sent.Load() + n
		require.Eventually(t, func() bool { return sent.Load() >= until }, 20*time.Second, time.Millisecond)
	}
	after(40)
	old := *r
	old.url = servers[0]
	session := old.signIn(adminToken)
	stage.Store(1)
	after(40)
	token.Store(next)
	after(40) // and whatever was under way with the last token has been answered
	stage.Store(2)
	after(40)
	stop()
	clients.Wait()
	require.Zero(t, refused.Load(), "of %d requests", sent.Load())
	t.Logf("%d requests, none refused", sent.Load())
	old.url = servers[1]
	require.Equal(t, http.StatusOK, old.with(session, http.MethodGet, "/metrics", "").status, "both values open")
	old.url = servers[2]
	require.Equal(t, http.StatusUnauthorized, old.with(session, http.MethodGet, "/metrics", "").status, "the session outlives its token")
}
