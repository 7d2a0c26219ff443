package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/api/client"
	"millrace/api/types"
)

// script answers requests one after the other and keeps what came.
type script struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter, *http.Request)
	keys    []string
	bodies  []string
	ids     []string // Last-Event-ID
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.keys, s.bodies = append(s.keys, r.Header.Get(client.IdempotencyHeader)), append(s.bodies, string(body))
	s.ids = append(s.ids, r.Header.Get("Last-Event-ID"))
	answer := s.answers[min(len(s.keys), len(s.answers))-1]
	s.mu.Unlock()
	answer(w, r)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

func status(code int, retryAfter, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		if code >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func connect(t *testing.T, answers ...func(http.ResponseWriter, *http.Request)) (*client.Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	api, err := client.New(client.Options{URL: server.URL, Key: "mr_x", Backoff: time.Millisecond, Attempts: 5})
	require.NoError(t, err)
	return api, s
}

const tuneAnswer = `{"tune_id":"0193","status":"queued"}`

func TestARetriedSubmissionKeepsItsKeyAndBody(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"made by the client": "", "the caller's": "mine-1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, s := connect(t, status(503, "", `{"title":"Service Unavailable","status":503}`), hangUp, status(409, "0", `{"status":409}`),
				status(202, "", tuneAnswer))
			tune, err := api.SubmitTune(t.Context(), key, types.TuneRequest{Dataset: "spx"})
			require.NoError(t, err)
			require.Equal(t, types.TuneQueued, tune.Status)
			require.Len(t, s.keys, 4)
			for i := range s.keys {
				require.NotEmpty(t, s.keys[i])
				require.Equal(t, s.keys[0], s.keys[i])
				require.JSONEq(t, s.bodies[0], s.bodies[i])
			}
			if key != "" {
				require.Equal(t, key, s.keys[0])
			}
		})
	}
}

func TestRetryAfterIsObeyedWithinTheCallersContext(t *testing.T) {
	t.Parallel()
	api, s := connect(t, status(429, "30", `{"title":"Too Many Requests","status":429}`))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := api.Tune(ctx, "0193", 0)
		failed <- err
	}()
	require.Eventually(t, func() bool { return s.count() == 1 }, 10*time.Second, time.Millisecond)
	cancel() // while it waits for the 30 s that the server asked for
	err := <-failed
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, s.count())
	var answered *client.Error
	require.ErrorAs(t, err, &answered, "why it waited is said too")
	require.Equal(t, 30*time.Second, answered.RetryAfter)
}

func TestTheCallerLearnsAtOnceThatALimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&script{answers: []func(http.ResponseWriter, *http.Request){status(429, "30", `{"title":"Too Many Requests","status":429}`)}})
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var waited time.Duration
	api, err := client.New(client.Options{URL: server.URL, Key: "mr_x", Waiting: func(wait time.Duration, why error) {
		waited = wait
		require.ErrorContains(t, why, "Too Many Requests")
		cancel() // before it has waited
	}})
	require.NoError(t, err)
	_, err = api.Tune(ctx, "0193", 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 30*time.Second, waited)
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	api, s := connect(t, status(503, "", `{"title":"Service Unavailable","status":503}`))
	_, err := api.Tune(t.Context(), "0193", 0)
	require.True(t, client.Temporary(err))
	require.Equal(t, 5, s.count())
}

func TestARequestWithoutAKeyThatMayActTwiceIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*client.Client) error{
		"change a schedule": func(api *client.Client) error {
			_, err := api.ChangeSchedule(context.Background(), "s", types.ScheduleChange{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, s := connect(t, status(503, "", `{}`))
			require.Error(t, change(api))
			require.Equal(t, 1, s.count())
		})
	}
}

func TestAProblemIsATypedErrorThatNamesItsFields(t *testing.T) {
	t.Parallel()
	api, s := connect(t, status(422, "", `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"The request is not valid.",
		"errors":[{"field":"search_type","message":"\"x\" is not a search","limit":["grid","random"]},{"field":"n_trials","message":"is over the most","limit":1000000},
		{"field":"oos_ratio","message":"must be from 0 to 0.5","limit":[0,0.5]}]}`))
	_, err := api.SubmitTune(t.Context(), "", types.TuneRequest{})
	var answered *client.Error
	require.ErrorAs(t, err, &answered)
	require.Equal(t, 422, answered.Status)
	require.Equal(t, "search_type", answered.Errors[0].Field)
	require.False(t, client.Temporary(err))
	require.Equal(t, 1, s.count())
	require.Equal(t, `422 Unprocessable Entity: The request is not valid.
  search_type: "x" is not a search; choose from grid, random
  n_trials: is over the most (limit: 1000000)
  oos_ratio: must be from 0 to 0.5`, err.Error())
}

func TestAnErrorPageOfAProxyIsAnErrorToo(t *testing.T) {
	t.Parallel()
	api, _ := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>\x1b[2Jno such page")
	})
	_, err := api.Tune(t.Context(), "0193", 0)
	require.True(t, client.IsNotFound(err))
	require.Equal(t, "404 Not Found: <html> [2Jno such page", err.Error(), "control characters do not reach a terminal")
}

func TestAnUploadIsReadAgainForEachAttempt(t *testing.T) {
	t.Parallel()
	api, s := connect(t, status(503, "", `{}`), status(201, "", `{"dataset_id":"d","bars":2}`))
	opened := 0
	file := client.Bytes("bars.csv", []byte("time,open\n"))
	open := file.Open
	file.Open = func() (io.ReadCloser, error) { opened++; return open() }
	made, err := api.UploadDataset(t.Context(), file, map[string]string{"name": "spx"})
	require.NoError(t, err)
	require.Equal(t, 2, made.Bars)
	require.Equal(t, 2, opened)
	require.Equal(t, s.bodies[0], s.bodies[1])
	require.Contains(t, s.bodies[0], "time,open\n")
}

func event(n int) string {
	return fmt.Sprintf("id: c%d\nevent: backtest.tune.progress\ndata: {\"cursor\":\"c%[1]d\",\"type\":\"backtest.tune.progress\",\"entity_id\":\"0193\",\"payload\":{}}\n\n", n)
}

func TestADroppedStreamResumesAfterItsLastEvent(t *testing.T) {
	t.Parallel()
	stream := func(events ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "retry: 1\n\n"+strings.Join(events, ""))
		}
	}
	api, s := connect(t, stream(event(1), event(2)), status(503, "", `{}`), stream("id: c9\nevent: reset\ndata: {}\n\n", event(10)))
	var seen []string
	opened := 0
	err := api.Events("backtests").Run(t.Context(),
		func(context.Context) error { opened++; return nil },
		func(e types.Event) error {
			seen = append(seen, e.Cursor)
			if e.Cursor == "c10" {
				return client.ErrStop
			}
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, []string{"c1", "c2", "c10"}, seen)
	require.Equal(t, []string{"", "c2", "c2"}, s.ids)
	require.Equal(t, 3, opened, "twice for a connection, once for the reset")
}

// The row is read once the stream is open, and an event from before may come after it.
func TestWhatIsFollowedDoesNotGoBackToWaiting(t *testing.T) {
	t.Parallel()
	answer := func(body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	report := func(kind string, statuses ...string) func(http.ResponseWriter, *http.Request) {
		var all strings.Builder
		for i, status := range statuses {
			fmt.Fprintf(&all, "id: c%d\nevent: %s%s\ndata: {\"cursor\":\"c%[1]d\",\"type\":\"%[2]s%[3]s\",\"entity_id\":\"1\",\"payload\":{\"status\":\"%[3]s\"}}\n\n", i, kind, status)
		}
		return answer(all.String())
	}
	var shown []string
	api, _ := connect(t, report("backtest.tune.", "queued", "running", "completed"),
		answer(`{"tune_id":"1","status":"running"}`), answer(`{"tune_id":"1","status":"completed"}`))
	_, err := api.FollowTune(t.Context(), "1", 0, func(tune types.Tune) { shown = append(shown, string(tune.Status)) })
	require.NoError(t, err)
	require.NotContains(t, shown, "queued")
	api, _ = connect(t, report("wfo.run.", "pending", "running", "completed"),
		answer(`{"wfo_id":"1","status":"running"}`), answer(`{"wfo_id":"1","status":"completed"}`))
	_, err = api.FollowWFO(t.Context(), "1", 0, func(wfo types.WFO) { shown = append(shown, string(wfo.Status)) })
	require.NoError(t, err)
	require.NotContains(t, shown, "pending")
	require.Equal(t, "completed", shown[len(shown)-1])
}

func TestAStreamThatTheServerRefusesEnds(t *testing.T) {
	t.Parallel()
	api, s := connect(t, status(401, "", `{"title":"Unauthorized","status":401}`))
	err := api.Events().Run(t.Context(), func(context.Context) error { return nil }, func(types.Event) error { return nil })
	var answered *client.Error
	require.ErrorAs(t, err, &answered)
	require.Equal(t, 1, s.count())
}

func TestTheCallersErrorEndsAStream(t *testing.T) {
	t.Parallel()
	api, _ := connect(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, event(1)) })
	mine := errors.New("mine")
	err := api.Events().Run(t.Context(), func(context.Context) error { return nil }, func(types.Event) error { return mine })
	require.ErrorIs(t, err, mine)
}

func TestAStoredValueKeepsItsBytes(t *testing.T) {
	t.Parallel()
	const raw = `{"rank":1,"params":{"slow":50,"fast":5},"score":1.50,"added_later":true}`
	var entry types.Stored[types.Entry]
	require.NoError(t, json.Unmarshal([]byte(raw), &entry))
	require.Equal(t, 1, entry.Value.Rank)
	again, err := json.Marshal(entry)
	require.NoError(t, err)
	require.Equal(t, raw, string(again))
}

// Eight requests at once open eight connections, and the eight after them none.
func TestConnectionsOfRequestsAtOnceAreKept(t *testing.T) {
	t.Parallel()
	const many = 8
	var opened atomic.Int32
	var together sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		together.Done()
		together.Wait()
		_, _ = io.WriteString(w, `{}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	api, err := client.New(client.Options{URL: server.URL})
	require.NoError(t, err)
	for range 2 {
		together.Add(many)
		var done sync.WaitGroup
		for range many {
			done.Go(func() { assert.NoError(t, api.Get(t.Context(), "/", nil)) })
		}
		done.Wait()
	}
	require.EqualValues(t, many, opened.Load())
}
