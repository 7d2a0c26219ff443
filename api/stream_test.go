package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// frame is one event as a client of the stream reads it.
type frame struct{ id, event, data string }

// openStream reads frames into a channel until the context ends.
func (r *fixture) openStream(ctx context.Context, path string, headers ...string) (<-chan frame, *http.Response) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+r.key)
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	frames := make(chan frame, 10_000)
	go func() {
		defer close(frames)
		defer resp.Body.Close()
		var f frame
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				f.id = value
			case "event":
				f.event = value
			case "data":
				f.data = value
			case "":
				if f.event != "" {
					frames <- f
				}
				f = frame{}
			}
		}
	}()
	return frames, resp
}

func next(t *testing.T, frames <-chan frame) frame {
	t.Helper()
	select {
	case f, open := <-frames:
		require.True(t, open, "the stream ended")
		return f
	case <-time.After(15 * time.Second):
		require.FailNow(t, "no event came")
		return frame{}
	}
}

func TestTheStreamCarriesATunesEventsInOrder(t *testing.T) {
	r := newFixture(t).withSample()
	frames, resp := r.openStream(t.Context(), "/events/stream?topics=backtests")
	require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Equal(t, "no", resp.Header.Get("X-Accel-Buffering"))
	r.startWorker()
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
	var seen []string
	done := -1
	for {
		f := next(t, frames)
		var view struct {
			Cursor, Topic, Type string
			Payload             struct {
				Done int `json:"trials_completed"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(f.data), &view))
		require.Equal(t, f.id, view.Cursor)
		require.Equal(t, f.event, view.Type)
		require.GreaterOrEqual(t, view.Payload.Done, done)
		done = view.Payload.Done
		what := strings.TrimPrefix(f.event, "backtest.tune.")
		if len(seen) == 0 || seen[len(seen)-1] != what {
			seen = append(seen, what)
		}
		if what == "completed" {
			break
		}
	}
	require.Equal(t, []string{"queued", "running", "progress", "completed"}, seen)
	require.Equal(t, 12, done)
}

// A client that drops again and again and resumes by its last id sees what the log holds: each
// event once, in order, job state changes of River among them.
func TestAResumedStreamMissesAndRepeatsNothing(t *testing.T) {
	r := newFixture(t).withSample()
	first, cancel := context.WithCancel(t.Context())
	frames, _ := r.openStream(first, "/events/stream")
	r.startWorker()
	for _, key := range []string{"a", "b", "c", "d"} {
		require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", key).status)
	}
	var got []string
	completed, last := 0, ""
	var kinds []string
	for completed < 4 {
		for range 3 {
			f := next(t, frames)
			got, last = append(got, f.id), f.id
			kinds = append(kinds, f.event)
			if f.event == "backtest.tune.completed" {
				if completed++; completed == 4 {
					break
				}
			}
		}
		cancel()
		var again context.Context
		again, cancel = context.WithCancel(t.Context())
		frames, _ = r.openStream(again, "/events/stream", "Last-Event-ID", last)
	}
	cancel()
	require.Contains(t, kinds, "job.available", "the insert trigger")
	require.Contains(t, kinds, "job.running", "the update trigger")
	require.Contains(t, kinds, "job.completed")
	var logged []string
	for cursor := ""; ; {
		a := r.do(http.MethodGet, "/events?limit=7&after="+cursor, "")
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		page := into[struct {
			Items []struct{ Cursor string }
			Next  string `json:"next_cursor"`
		}](t, a)
		for _, e := range page.Items {
			logged = append(logged, e.Cursor)
		}
		if len(page.Items) == 0 {
			break
		}
		cursor = page.Next
	}
	require.Equal(t, logged[:min(len(got), len(logged))], got)
}

func TestACursorThatCannotBeResumedIsReset(t *testing.T) {
	r := newFixture(t).withSample()
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
	var kept string
	require.Eventually(t, func() bool {
		page := into[struct{ Items []struct{ Cursor string } }](t, r.do(http.MethodGet, "/events", ""))
		if len(page.Items) > 0 {
			kept = page.Items[0].Cursor
		}
		return kept != ""
	}, 10*time.Second, 20*time.Millisecond)
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `update event_epoch set floor_xid = pg_current_xact_id()`)
	require.NoError(t, err)
	frames, _ := r.openStream(t.Context(), "/events/stream", "Last-Event-ID", kept)
	require.Equal(t, "reset", next(t, frames).event)
	require.Equal(t, http.StatusGone, r.do(http.MethodGet, "/events?after="+kept, "").status)
	a := r.do(http.MethodGet, "/events/stream?topics=weather", "")
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, string(a.body), "backtests")
}

func TestAStreamCarriesItsWorkspaceOnly(t *testing.T) {
	r := newFixture(t).withSample()
	mine, _ := r.openStream(t.Context(), "/events/stream?topics=backtests")
	theirs, _ := r.openStream(t.Context(), "/events/stream", "Authorization", "Bearer "+r.other)
	all, _ := r.openStream(t.Context(), "/admin/events/stream?topics=backtests", "X-Admin-Token", adminToken)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)
	require.Equal(t, "backtest.tune.queued", next(t, mine).event)
	require.Equal(t, "backtest.tune.queued", next(t, all).event)
	// The other workspace's own event is the first it sees, though it came later.
	upload := r.upload(r.other, "sp500", []byte(manyBars()))
	require.Equal(t, http.StatusCreated, upload.status, string(upload.body))
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", plainTune,
		"X-Idempotency-Key", "k", "Authorization", "Bearer "+r.other).status)
	f := next(t, theirs)
	require.NotContains(t, f.data, r.alpha.ID.String())
}

// plainTune has no split, so that few bars are enough for it.
var plainTune = strings.Replace(smallTune, `"oos_ratio":0.3,`, "", 1)

// manyBars is a CSV just long enough for a tune.
func manyBars() string {
	var csv strings.Builder
	csv.WriteString("date,open,high,low,close\n")
	for day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2021; day = day.AddDate(0, 0, 1) {
		csv.WriteString(day.Format(time.DateOnly) + ",10,12,9,11\n")
	}
	return csv.String()
}
