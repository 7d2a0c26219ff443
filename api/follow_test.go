package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/store/tenants"
)

// started is a tune without a worker: it waits until one is started.
func (r *fixture) started(key string) (id string) {
	r.t.Helper()
	a := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", key)
	require.Equal(r.t, http.StatusAccepted, a.status, string(a.body))
	return into[struct {
		ID string `json:"tune_id"`
	}](r.t, a).ID
}

// kinds are the events of a stream up to its end.
func kinds(t *testing.T, frames <-chan frame, entity string) (all []string, last frame) {
	t.Helper()
	for f := range frames {
		all, last = append(all, strings.TrimPrefix(f.event, "backtest.tune.")), f
		if f.event != "end" {
			var view struct {
				EntityID string `json:"entity_id"`
				Payload  struct{ Status string }
			}
			require.NoError(t, json.Unmarshal([]byte(f.data), &view))
			require.Equal(t, entity, view.EntityID)
			require.NotEmpty(t, view.Payload.Status)
		}
	}
	return all, last
}

// The stream of a tune begins with its state, has its own events only, and ends with it; a browser that
// comes back after the end is sent away for good.
func TestTheStreamOfATuneEndsWithIt(t *testing.T) {
	r := newFixture(t).withSample()
	id, other := r.started("one"), r.started("two")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	path := "/backtests/tunes/" + id + "/events"
	frames, _ := r.openStream(ctx, path)
	begun := next(t, frames)
	require.Equal(t, "backtest.tune.queued", begun.event)
	r.startWorker()
	all, end := kinds(t, frames, id)
	require.Contains(t, all, "running")
	require.Equal(t, []string{"completed", "end"}, all[len(all)-2:])

	require.Equal(t, http.StatusNoContent, r.do(http.MethodGet, path, "", "Last-Event-ID", end.id).status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "", "Last-Event-ID", end.id, "Authorization", "Bearer "+r.other).status)

	// Resumed from the beginning it has the same events again; begun now, or from the last event on, the final state.
	frames, _ = r.openStream(ctx, path, "Last-Event-ID", begun.id)
	again, _ := kinds(t, frames, id)
	require.Equal(t, all, again)
	frames, _ = r.openStream(ctx, path, "Last-Event-ID", strings.TrimSuffix(end.id, ".end"))
	again, _ = kinds(t, frames, id)
	require.Equal(t, []string{"completed", "end"}, again)
	frames, _ = r.openStream(ctx, path)
	again, _ = kinds(t, frames, id)
	require.Equal(t, []string{"completed", "end"}, again)
	frames, _ = r.openStream(ctx, path, "Last-Event-ID", "of another server")
	require.Equal(t, "reset", next(t, frames).event)
	again, _ = kinds(t, frames, id)
	require.Equal(t, []string{"completed", "end"}, again)

	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "", "Authorization", "Bearer "+r.other).status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/backtests/wfo/"+other+"/events", "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/ingest/jobs/"+other+"/events", "").status)
}

// Two common clients take every empty line for an event: what keeps a stream alive is a comment alone.
func TestHeartbeatsAreComments(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = 20 * time.Millisecond })
	in := r.rawStream("/events/stream?topics=wfo")
	var lines []string
	for len(lines) < 60 {
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		if line = strings.TrimSpace(line); line != "" && len(line) < 5 && line != ":" {
			continue // the length of a chunk
		}
		lines = append(lines, line)
	}
	text := strings.ReplaceAll(strings.Join(lines, "\n"), "\n\n", "\n")
	frames := strings.Count(text, "event: cursor")
	require.Positive(t, frames, "a client without a place is sent one")
	require.Less(t, frames, 4)
	require.Equal(t, frames, strings.Count(text, "id: "), text)
	require.Equal(t, frames, strings.Count(text, `data: {"type":"cursor"`), text)
	require.Greater(t, strings.Count(text, ":\n"), 15)
}

// A read that waits comes as soon as the tune has ended, and meanwhile holds no connection: more wait here
// than there are.
func TestAReadWaitsForTheEnd(t *testing.T) {
	r := newFixture(t).withSample()
	id := r.started("one")
	const readers = 40 // of 12 connections
	answers := make(chan answer, readers)
	for range readers {
		go func() {
			a, err := r.try(http.MethodGet, "/backtests/tunes/"+id+"?wait=50s", http.NoBody, "Authorization", "Bearer "+r.key)
			if err != nil {
				a.body = []byte(err.Error())
			}
			answers <- a
		}()
	}
	require.Eventually(t, func() bool { return r.look.Feed().Subscribers == readers }, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return r.store.Pool().Stat().AcquiredConns() == 0 }, 20*time.Second, time.Millisecond, "readers hold connections while they wait")
	require.Empty(t, answers)
	r.startWorker()
	for range readers {
		a := <-answers
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		require.Contains(t, string(a.body), `"status":"completed"`)
	}
	require.Eventually(t, func() bool { return r.look.Feed().Subscribers == 0 }, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, string(r.do(http.MethodGet, "/backtests/tunes/"+id+"?wait=60", "").body), `"status":"completed"`)
}

func TestAReadWaitsNoLongerThanItSays(t *testing.T) {
	r := newFixture(t).withSample()
	id := r.started("one")
	a := r.do(http.MethodGet, "/backtests/tunes/"+id+"?wait=50ms", "")
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	require.Contains(t, string(a.body), `"status":"queued"`)
	for _, wait := range []string{"61s", "-1s", "soon", "1h", "61"} {
		a = r.do(http.MethodGet, "/backtests/tunes/"+id+"?wait="+wait, "")
		require.Equal(t, http.StatusBadRequest, a.status, wait)
		require.Contains(t, string(a.body), `"wait"`)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/backtests/tunes/"+id+"?wait=30s", "", "Authorization", "Bearer "+r.other).status)
}

// A walk-forward is waited for until it, and not just one of its folds, has ended.
func TestAReadWaitsForAWalkForward(t *testing.T) {
	r := newFixture(t).withSample()
	made := r.do(http.MethodPost, "/backtests/wfo", smallWFO, "X-Idempotency-Key", "w")
	require.Equal(t, http.StatusAccepted, made.status, string(made.body))
	path := made.header.Get("Location")
	frames, _ := r.openStream(t.Context(), path+"/events")
	require.Equal(t, "wfo.run.pending", next(t, frames).event)
	done := make(chan answer, 1)
	go func() {
		a, _ := r.try(http.MethodGet, path+"?wait=50s", http.NoBody, "Authorization", "Bearer "+r.key)
		done <- a
	}()
	r.startWorker()
	require.Contains(t, string((<-done).body), `"status":"completed"`)
	folds := 0
	for f := range frames {
		if strings.HasPrefix(f.event, "wfo.fold.completed") {
			folds++
		}
	}
	require.GreaterOrEqual(t, folds, 3)
}

// A key that is revoked while its holder waits opens nothing any more.
func TestAKeyThatIsRevokedWhileAReadWaits(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = 20 * time.Millisecond }).withSample()
	id := r.started("one")
	secret := r.newKey(r.alpha, tenants.RoleViewer)
	done := make(chan answer, 1)
	go func() {
		a, _ := r.try(http.MethodGet, "/backtests/tunes/"+id+"?wait=50s", http.NoBody, "Authorization", "Bearer "+secret)
		done <- a
	}()
	require.Eventually(t, func() bool { return r.look.Feed().Subscribers == 1 }, 20*time.Second, 5*time.Millisecond)
	frames, _ := r.openStream(t.Context(), "/backtests/tunes/"+id+"/events", "Authorization", "Bearer "+secret)
	require.Equal(t, "backtest.tune.queued", next(t, frames).event)
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `update api_keys set revoked_at = now() where role = 'viewer'`)
	require.NoError(t, err)
	a := <-done
	require.Equal(t, http.StatusUnauthorized, a.status, string(a.body))
	for deadline := time.After(15 * time.Second); ; {
		select {
		case _, open := <-frames:
			if !open {
				return
			}
		case <-deadline:
			require.FailNow(t, "the stream of a revoked key stays open")
		}
	}
}

// A server that stops answers those who wait with what is there.
func TestAStopAnswersThoseWhoWait(t *testing.T) {
	r := newFixture(t).withSample()
	id := r.started("one")
	done := make(chan answer, 1)
	go func() {
		a, _ := r.try(http.MethodGet, "/backtests/tunes/"+id+"?wait=50s", http.NoBody, "Authorization", "Bearer "+r.key)
		done <- a
	}()
	require.Eventually(t, func() bool { return r.look.Feed().Subscribers == 1 }, 20*time.Second, 5*time.Millisecond)
	r.server.EndStreams()
	require.Contains(t, string((<-done).body), `"status":"queued"`)
}
