package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/store/tenants"
)

const (
	oldAdminToken = "an-old-admin-token-0123456789"
	streamsOfAll  = "/admin/events/stream?topics=wfo"
)

// A stream that an old value of ADMIN_TOKEN has opened, itself or by what it had opened before, ends when SIGHUP takes the
// value away: at once, not with the next heartbeat. Keys and tokens of named admins hold on.
func TestStreamsEndWhenAdminTokenLosesAValue(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.AdminToken, o.Heartbeat = adminToken+"\n"+oldAdminToken, time.Hour })
	held := func(c *http.Cookie) []string { return []string{"Authorization", "", "Cookie", c.Name + "=" + c.Value} }
	session := r.signIn(oldAdminToken)
	open := func(path string, as ...string) <-chan frame {
		frames, resp := r.openStream(t.Context(), path, as...)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		return frames
	}
	over := map[string]<-chan frame{
		"header":              open(streamsOfAll, "Authorization", "Bearer "+oldAdminToken),
		"session":             open(streamsOfAll, held(session)...),
		"ticket of a session": open(streamsOfAll, held(r.ticket(r.alpha.ID, session))...),
		"ticket":              open(streamsOfAll, held(r.ticketBy(oldAdminToken))...),
		"workspace's ticket":  open("/events/stream?topics=wfo", held(r.ticketBy(oldAdminToken))...),
	}
	stays := map[string]<-chan frame{
		"key":         open("/events/stream?topics=wfo"),
		"named admin": open(streamsOfAll, "Authorization", "Bearer "+r.newAdmin("ada").Secret),
	}
	r.server.SetAdminToken(adminToken + "\n" + oldAdminToken + "\nanother-value-0123456789")
	r.publish("wfo", 1)
	for name, frames := range over {
		require.Equal(t, "test", next(t, frames).event, "%s: another value ends nothing", name)
	}
	r.server.SetAdminToken(adminToken)
	for name, frames := range over {
		t.Log(name)
		ended(t, frames)
	}
	r.publish("wfo", 1)
	for name, frames := range stays {
		t.Log(name)
		next(t, frames)
		next(t, frames)
	}
}

// ticketBy is a ticket that a token was given without a session.
func (r *fixture) ticketBy(token string) *http.Cookie {
	r.t.Helper()
	a := r.do(http.MethodPost, "/admin/events/ticket", `{"workspace_id":"`+r.alpha.ID.String()+`"}`, "Authorization", "Bearer "+token)
	require.Equal(r.t, http.StatusCreated, a.status, string(a.body))
	return cookieOf(r.t, a, "millrace_ticket")
}

// A value may be taken away after it has admitted a request and before its stream has begun.
func TestAStreamThatBeginsWhileAdminTokenLosesItsValueEnds(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.AdminToken, o.Heartbeat = adminToken+" "+oldAdminToken, time.Hour })
	floor, pool := r.floor(), r.db.OwnerPool(t)
	reading := func(ctx context.Context) (waits bool) {
		err := pool.QueryRow(ctx, `select exists (select from pg_locks where not granted and relation = 'event_log'::regclass)`).Scan(&waits)
		return err == nil && waits
	}
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `lock table event_log in access exclusive mode`) // what a stream reads before it begins
	require.NoError(t, err)
	var taken sync.WaitGroup
	defer taken.Wait()
	taken.Go(func() {
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		for !reading(t.Context()) {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		r.server.SetAdminToken(adminToken)
	})
	frames, resp := r.openStream(t.Context(), streamsOfAll+"&cursor="+floor, "Authorization", "Bearer "+oldAdminToken)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	ended(t, frames)
}

// What ends a stream wakes it: it does not wait for its next heartbeat.
func TestARevokedKeyWakesItsStream(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat, o.Recheck = time.Hour, 20*time.Millisecond })
	key := r.newKey(r.alpha, tenants.RoleViewer)
	frames, _ := r.openStream(t.Context(), "/events/stream", "Authorization", "Bearer "+key)
	principal, err := r.store.Tenants.KeyBySecret(t.Context(), key)
	require.NoError(t, err)
	_, err = r.db.OwnerPool(t).Exec(t.Context(), `update api_keys set revoked_at = clock_timestamp() where id = $1`, principal.KeyID)
	require.NoError(t, err)
	ended(t, frames)
}

// What begins after a value of ADMIN_TOKEN was taken away is as any other stream: a value that is left has opened it.
func TestStreamsThatBeginAfterAdminTokenLostAValueStay(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.AdminToken, o.Heartbeat = adminToken+" "+oldAdminToken, time.Hour })
	r.server.SetAdminToken(adminToken)
	held := func(c *http.Cookie) []string { return []string{"Authorization", "", "Cookie", c.Name + "=" + c.Value} }
	of := map[string]<-chan frame{}
	for name, as := range map[string][]string{
		"header":  {"Authorization", "Bearer " + adminToken},
		"session": held(r.signIn(adminToken)),
		"ticket":  held(r.ticketBy(adminToken)),
	} {
		frames, resp := r.openStream(t.Context(), streamsOfAll, as...)
		require.Equal(t, http.StatusOK, resp.StatusCode, name)
		of[name] = frames
	}
	frames, _ := r.openStream(t.Context(), "/events/stream?topics=wfo", held(r.ticketBy(adminToken))...)
	of["workspace's ticket"] = frames
	r.publish("wfo", 1)
	for name, frames := range of {
		require.Equal(t, "test", next(t, frames).event, name)
	}
}

// A read that waits, for a minute at most, takes a key and nothing else, and ends with it as a stream does. So none is left
// open by a value of ADMIN_TOKEN that was taken away, or by what the value had opened.
func TestNothingThatAdminTokenOpensWaits(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Docs = true }).withSample()
	id := r.started("one")
	held := func(c *http.Cookie) []string { return []string{"Authorization", "", "Cookie", c.Name + "=" + c.Value} }
	session := r.signIn(adminToken)
	waiting := 0
	for path, item := range documented(t, r) {
		if !waits(item) {
			continue
		}
		waiting++
		path = strings.ReplaceAll(path, "{id}", id) + "?wait=50s"
		for name, as := range map[string][]string{
			"header":              {"Authorization", "Bearer " + adminToken},
			"session":             held(session),
			"session of a person": held(r.signIn(r.key)),
			"ticket of a session": held(r.ticket(r.alpha.ID, session)),
			"ticket":              held(r.ticketBy(adminToken)),
		} {
			require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, path, "", as...).status, "%s by %s", path, name)
		}
	}
	require.Equal(t, 3, waiting)
}

// documented are the operations that read, by path, of the API's document.
func documented(t *testing.T, r *fixture) map[string]documentedRead {
	t.Helper()
	var document struct {
		Paths map[string]struct{ Get documentedRead }
	}
	require.NoError(t, json.Unmarshal(r.do(http.MethodGet, "/docs/openapi.json", "").body, &document))
	reads := map[string]documentedRead{}
	for path, item := range document.Paths {
		reads[path] = item.Get
	}
	return reads
}

type documentedRead struct{ Parameters []struct{ Name string } }

func waits(read documentedRead) bool {
	return slices.ContainsFunc(read.Parameters, func(p struct{ Name string }) bool { return p.Name == "wait" })
}
