package api_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/store/tenants"
)

// processes are the fixture's API process and another one of its database.
func (r *fixture) processes() []*fixture {
	second := *r
	second.url = r.another(func(*api.Options) {})
	return []*fixture{r, &second}
}

// A workspace's key is replaced while requests arrive at two processes: another is made, the clients move to it, and the
// first is revoked. No request is refused.
func TestAKeyIsReplacedUnderLoadWithoutARefusedRequest(t *testing.T) {
	r := newFixture(t)
	processes := r.processes()
	at := "/admin/workspaces/" + r.alpha.ID.String() + "/keys"
	issue := func(name string) (id, secret string) {
		made := r.admin(http.MethodPost, at, `{"name":"`+name+`","role":"member"}`, "X-Idempotency-Key", name)
		require.Equal(t, http.StatusCreated, made.status, string(made.body))
		key := into[struct {
			KeyID  string `json:"key_id"`
			Secret string
		}](t, made)
		return key.KeyID, key.Secret
	}
	first, secret := issue("ci")
	var key atomic.Value
	key.Store(secret)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var refused atomic.Int64
	var sent [4]atomic.Int64
	for client := range sent {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				req, err := http.NewRequest(http.MethodGet, processes[(client+n)%2].url+"/datasets", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer "+key.Load().(string))
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					refused.Add(1)
				}
				sent[client].Add(1)
			}
		})
	}
	// Whatever a client had under way has been answered after two more of its requests.
	after := func(n int64) {
		t.Helper()
		var until [len(sent)]int64
		for i := range sent {
			until[i] = sent[i].Load() + n
		}
		require.Eventually(t, func() bool {
			for i := range sent {
				if sent[i].Load() < until[i] {
					return false
				}
			}
			return true
		}, 30*time.Second, time.Millisecond)
	}
	after(20)
	_, next := issue("ci-2")
	after(20) // both work
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+next).status)
	key.Store(next)
	after(20)
	require.Equal(t, http.StatusNoContent, r.admin(http.MethodDelete, at+"/"+first, "").status)
	after(20)
	stop()
	clients.Wait()
	total := int64(0)
	for i := range sent {
		total += sent[i].Load()
	}
	require.Zero(t, refused.Load(), "of %d requests", total)
	t.Logf("%d requests, none refused", total)
	for _, process := range processes {
		require.Equal(t, http.StatusUnauthorized, process.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+secret).status)
	}
}

// What takes access away at one process takes it away at every process, from streams that are open too: the time that
// takes is printed, and is at most two seconds on a machine that is not busy.
func TestWhatTakesAccessAwayDoesSoInEveryProcess(t *testing.T) {
	r := newFixture(t)
	processes := r.processes()
	issue := func(role tenants.Role) (key string, principal tenants.Principal) {
		key = r.newKey(r.alpha, role)
		principal, err := r.store.Tenants.KeyBySecret(t.Context(), key)
		require.NoError(t, err)
		return key, principal
	}
	revoked, revokedKey := issue(tenants.RoleMember)
	changed, changedKey := issue(tenants.RoleMember)
	session := r.signIn(changed)
	admin := r.newAdmin("ada")
	bearer := func(key string) []string { return []string{"Authorization", "Bearer " + key} }
	own := r.newKey(r.beta, tenants.RoleOwner)
	for _, c := range []struct {
		what     string
		stream   string
		as       []string
		request  func(*fixture) int // refused once access is gone
		takeAway func()
		reason   string // the stream's last words
	}{
		{"revocation of a key", "/events/stream", bearer(revoked),
			func(p *fixture) int { return p.do(http.MethodGet, "/datasets", "", bearer(revoked)...).status },
			func() {
				require.Equal(t, http.StatusNoContent, r.admin(http.MethodDelete, "/admin/workspaces/"+r.alpha.ID.String()+"/keys/"+revokedKey.KeyID.String(), "").status)
			}, "the key, session or ticket has ended"},
		{"revocation of an admin's token", "/admin/events/stream", bearer(admin.Secret),
			func(p *fixture) int {
				return p.do(http.MethodGet, "/admin/workspaces", "", bearer(admin.Secret)...).status
			},
			func() {
				require.Equal(t, http.StatusNoContent, r.admin(http.MethodDelete, "/admin/tokens/"+admin.TokenID, "").status)
			}, "the key, session or ticket has ended"},
		{"change of a key's role", "/events/stream", []string{"Authorization", "", "Cookie", session.Name + "=" + session.Value},
			func(p *fixture) int { return p.with(session, http.MethodGet, "/admin/tunes", "").status },
			func() {
				_, err := r.db.OwnerPool(t).Exec(t.Context(), `update api_keys set role = 'viewer' where id = $1`, changedKey.KeyID)
				require.NoError(t, err)
			}, "the key, session or ticket has ended"},
		{"deletion of a workspace", "/events/stream", bearer(own),
			func(p *fixture) int { return p.do(http.MethodGet, "/datasets", "", bearer(own)...).status },
			func() {
				require.Equal(t, http.StatusAccepted, r.do(http.MethodDelete, "/workspace?confirm=beta", "", bearer(own)...).status)
			}, "the workspace was deleted"},
	} {
		var streams []<-chan string
		for _, p := range processes {
			require.Equal(t, http.StatusOK, c.request(p), c.what)
			streams = append(streams, p.wholeStream(c.stream, c.as...))
		}
		c.takeAway()
		began := time.Now()
		for _, p := range processes {
			require.Equal(t, http.StatusUnauthorized, c.request(p), "%s: the next request is answered", c.what)
		}
		requests := time.Since(began)
		for _, stream := range streams {
			select {
			case text := <-stream:
				require.Contains(t, text, "\n: "+c.reason+"\n", c.what)
			case <-time.After(15 * time.Second):
				require.FailNow(t, "the stream continues", c.what)
			}
		}
		took := time.Since(began)
		t.Logf("%s: requests at both processes are refused after %v, both streams end after %v", c.what, requests.Round(time.Millisecond), took.Round(time.Millisecond))
		require.Less(t, took, 10*time.Second, c.what)
	}
}

// wholeStream opens a stream, and gives all of its text once it has ended.
func (r *fixture) wholeStream(path string, headers ...string) <-chan string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	require.NoError(r.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, resp.StatusCode)
	whole := make(chan string, 1)
	go func() {
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		whole <- string(text)
	}()
	return whole
}
