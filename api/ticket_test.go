package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/api"
)

func (r *fixture) ticket(workspace uuid.UUID, as *http.Cookie) *http.Cookie {
	r.t.Helper()
	a := r.with(as, http.MethodPost, "/admin/events/ticket", `{"workspace_id":"`+workspace.String()+`"}`, "Sec-Fetch-Site", "same-origin")
	require.Equal(r.t, http.StatusCreated, a.status, string(a.body))
	c := cookieOf(r.t, a, "millrace_ticket")
	require.NotContains(r.t, string(a.body), c.Value)
	return c
}

func TestATicketOpensOneWorkspacesStream(t *testing.T) {
	r := newFixture(t).withSample()
	ticket := r.ticket(r.alpha.ID, r.logIn())
	require.True(t, ticket.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, ticket.SameSite)
	require.Equal(t, "/admin/events/stream", ticket.Path)
	require.LessOrEqual(t, ticket.MaxAge, 600)
	held := []string{"Authorization", "", "Cookie", ticket.Name + "=" + ticket.Value}
	all, _ := r.openStream(t.Context(), "/admin/events/stream?topics=backtests", held...)
	named, _ := r.openStream(t.Context(), "/admin/events/stream?topics=backtests&workspace_id="+r.alpha.ID.String(), held...)
	require.Equal(t, http.StatusCreated, r.upload(r.other, "sp500", []byte(manyBars())).status)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", plainTune,
		"X-Idempotency-Key", "k", "Authorization", "Bearer "+r.other).status)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
	require.Contains(t, next(t, all).data, r.alpha.ID.String())
	f := next(t, named)
	require.Contains(t, f.data, r.alpha.ID.String())

	// To the other workspace, to other routes and as a session it opens nothing.
	require.Equal(t, http.StatusBadRequest, r.with(ticket, http.MethodGet, "/admin/events/stream?workspace_id="+r.beta.ID.String(), "").status)
	require.Equal(t, http.StatusUnauthorized, r.with(ticket, http.MethodGet, "/metrics", "").status)
	require.Equal(t, http.StatusUnauthorized, r.with(&http.Cookie{Name: "millrace_session", Value: ticket.Value}, http.MethodGet, "/metrics", "").status)
	// A replay asks for the ticket again.
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "later").status)
	replay, _ := r.openStream(t.Context(), "/admin/events/stream", append(held, "Last-Event-ID", f.id)...)
	require.Contains(t, next(t, replay).data, r.alpha.ID.String())
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `update event_tickets set expires_at = now()`)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, r.with(ticket, http.MethodGet, "/admin/events/stream", "", "Last-Event-ID", f.id).status)
}

func TestAStreamEndsWithItsTicket(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Ticket = 1500 * time.Millisecond })
	ticket := r.ticket(r.alpha.ID, r.logIn())
	frames, resp := r.openStream(t.Context(), "/admin/events/stream", "Authorization", "", "Cookie", ticket.Name+"="+ticket.Value)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	ended(t, frames)
	require.Equal(t, http.StatusUnauthorized, r.with(ticket, http.MethodGet, "/admin/events/stream", "").status)
}

func TestALogoutEndsStreamsAndTickets(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = 20 * time.Millisecond })
	session := r.logIn()
	ticket := r.ticket(r.alpha.ID, session)
	byTicket, _ := r.openStream(t.Context(), "/admin/events/stream", "Authorization", "", "Cookie", ticket.Name+"="+ticket.Value)
	bySession, _ := r.openStream(t.Context(), "/admin/events/stream", "Authorization", "", "Cookie", session.Name+"="+session.Value)
	require.Equal(t, http.StatusNoContent, r.with(session, http.MethodPost, "/admin/logout", "", "Sec-Fetch-Site", "same-origin").status)
	ended(t, byTicket)
	ended(t, bySession)
	require.Equal(t, http.StatusUnauthorized, r.with(ticket, http.MethodGet, "/admin/events/stream", "").status)
}

func TestATicketIsForAWorkspaceThatIsThere(t *testing.T) {
	r := newFixture(t)
	for body, status := range map[string]int{
		`{"workspace_id":"018f0000-0000-7000-8000-000000000000"}`: http.StatusNotFound,
		`{"workspace_id":"alpha"}`:                                http.StatusUnprocessableEntity,
		`{}`:                                                      http.StatusUnprocessableEntity,
		`[]`:                                                      http.StatusBadRequest,
		`{"workspace_id":"` + r.alpha.ID.String() + `","x":1}`: http.StatusBadRequest,
	} {
		require.Equal(t, status, r.do(http.MethodPost, "/admin/events/ticket", body, "Authorization", "Bearer "+adminToken).status, body)
	}
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodPost, "/admin/events/ticket", "{}").status, "a workspace's key is not the admin token")
	require.Zero(t, r.count(`select count(*) from event_tickets`))
}

// ended waits until the server ends the stream.
func ended(t *testing.T, frames <-chan frame) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		select {
		case _, open := <-frames:
			if !open {
				return
			}
		case <-deadline:
			require.FailNow(t, "the stream continues")
		}
	}
}
