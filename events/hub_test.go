package events

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/ops"
	"millrace/store/eventlog"
)

// memoryLog holds the events that are safe to read, as the store returns them. The store's own reading
// has tests on a database; this one runs thousands of schedules a second.
type memoryLog struct {
	events []eventlog.Event
	held   int    // of the newest events, that an old transaction holds back at the moment
	after  func() // runs between a read and its use
}

func (l *memoryLog) EventsThrough(_ context.Context, scope eventlog.Scope, after, through eventlog.Cursor, limit int) ([]eventlog.Event, error) {
	var page []eventlog.Event
	for i, e := range l.events {
		readable := i < len(l.events)-l.held || !through.Before(e.Cursor)
		if readable && after.Before(e.Cursor) && wanted(scope, e) && len(page) < limit {
			page = append(page, e)
		}
	}
	if after := l.after; after != nil {
		l.after = nil
		after()
	}
	return page, nil
}

func wanted(scope eventlog.Scope, e eventlog.Event) bool {
	return (!scope.Workspace.Valid || e.Workspace == scope.Workspace) &&
		(len(scope.Topics) == 0 || slices.Contains(scope.Topics, e.Topic))
}

// watcher is one client: what it has seen, and the subscription it has open, if any.
type watcher struct {
	scope eventlog.Scope
	since int // events of the log before it began
	sub   *Subscription
	at    eventlog.Cursor // what it would resume from
	seen  []string
}

// schedule is a hub that lags behind its log, and clients that take, stall, leave and come back.
type schedule struct {
	log      memoryLog
	hub      *Hub
	watchers []*watcher
}

var spaces = []uuid.NullUUID{{UUID: uuid.UUID{1}, Valid: true}, {UUID: uuid.UUID{2}, Valid: true}, {}}

func (s *schedule) commit(t *rapid.T) {
	for range rapid.SampledFrom([]int{1, 2, 10, 700}).Draw(t, "events") {
		n := len(s.log.events) + 1
		s.log.events = append(s.log.events, eventlog.Event{
			Cursor: eventlog.Cursor{Epoch: 1, XID: uint64(n/3 + 1), ID: int64(n)}, EntityID: strconv.Itoa(n),
			Workspace: spaces[n%3], Topic: []string{"jobs", "wfo"}[n/2%2],
		})
	}
}

// hold draws the end of the log back, also behind what was published: an old transaction has written.
func (s *schedule) hold(t *rapid.T) {
	s.log.held = rapid.IntRange(0, min(len(s.log.events), 20)).Draw(t, "held")
}

func (s *schedule) publish(t *rapid.T) {
	behind, _ := s.log.EventsThrough(context.Background(), eventlog.Scope{}, s.hub.place(), eventlog.Cursor{}, 2000)
	s.hub.publish(behind[:rapid.IntRange(0, len(behind)).Draw(t, "published")])
}

func (s *schedule) join(t *rapid.T) {
	w := &watcher{}
	w.scope.Workspace = rapid.SampledFrom(spaces).Draw(t, "workspace")
	if rapid.Bool().Draw(t, "narrow") {
		w.scope.Topics = []string{"wfo"}
	}
	w.sub = s.hub.Subscribe(w.scope, nil)
	w.at = w.sub.Last()
	for w.since < len(s.log.events) && !w.at.Before(s.log.events[w.since].Cursor) {
		w.since++
	}
	s.watchers = append(s.watchers, w)
}

func (s *schedule) any(t *rapid.T) *watcher {
	if len(s.watchers) == 0 {
		t.Skip("no watchers")
	}
	return rapid.SampledFrom(s.watchers).Draw(t, "watcher")
}

func (s *schedule) resume(t *rapid.T) {
	w := s.any(t)
	if w.sub == nil {
		w.sub = s.hub.Subscribe(w.scope, &w.at)
	}
}

func (s *schedule) leave(t *rapid.T) {
	if w := s.any(t); w.sub != nil {
		w.sub.Close()
		w.sub = nil
	}
}

func (s *schedule) take(t *rapid.T) {
	w := s.any(t)
	if w.sub == nil {
		return
	}
	if rapid.Bool().Draw(t, "meanwhile") {
		s.log.after = func() { s.commit(t); s.publish(t) }
	}
	w.take(t)
	s.log.after = nil
}

func (w *watcher) take(t *rapid.T) {
	messages, err := w.sub.Take(context.Background())
	if err != nil { // dropped: it resumes from its cursor
		require.ErrorIs(t, err, ErrSlow)
		w.sub = nil
		return
	}
	for _, m := range messages {
		w.seen = append(w.seen, m.EntityID)
	}
	w.at = w.sub.Last()
}

func (s *schedule) heartbeat(t *rapid.T) {
	if w := s.any(t); w.sub != nil {
		at := w.sub.Advance()
		require.False(t, at.Before(w.at), "a place never runs backwards")
		w.at = at
	}
}

// check: what a client has seen is the beginning of what it should see.
func (s *schedule) check(t *rapid.T) {
	for _, w := range s.watchers {
		want := s.due(w)
		require.LessOrEqual(t, len(w.seen), len(want))
		require.True(t, slices.Equal(want[:len(w.seen)], w.seen), "want %v, saw %v", want, w.seen)
	}
}

func (s *schedule) due(w *watcher) []string {
	var want []string
	for _, e := range s.log.events[w.since:] {
		if wanted(w.scope, e) {
			want = append(want, e.EntityID)
		}
	}
	return want
}

// Each client sees every event of its scope once, in order, for any order in which events commit, are
// published and taken, and clients lag, leave and come back.
func TestEveryWatcherSeesEachEventOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &schedule{}
		s.hub = newHub(&s.log, ops.NewMetrics())
		s.hub.restart(eventlog.Cursor{Epoch: 1})
		t.Repeat(map[string]func(*rapid.T){
			"commit": s.commit, "hold": s.hold, "publish": s.publish, "join": s.join, "resume": s.resume,
			"leave": s.leave, "take": s.take, "heartbeat": s.heartbeat, "": s.check,
		})
		s.log.held = 0
		behind, _ := s.log.EventsThrough(context.Background(), eventlog.Scope{}, s.hub.place(), eventlog.Cursor{}, len(s.log.events))
		s.hub.publish(behind)
		for _, w := range s.watchers {
			for len(w.seen) < len(s.due(w)) {
				if w.sub == nil {
					w.sub = s.hub.Subscribe(w.scope, &w.at)
				}
				before := len(w.seen)
				for range 3 { // a page may be empty on the way to the queue
					if w.sub != nil {
						w.take(t)
					}
				}
				require.True(t, w.sub == nil || len(w.seen) > before, "something was left out")
			}
		}
		s.check(t)
	})
}

// Events are handed out by the run of those alike; the metric counts them by topic whatever the order.
func TestEventsOfMixedTopicsAreCountedByTopic(t *testing.T) {
	t.Parallel()
	metrics := ops.NewMetrics()
	hub := newHub(&memoryLog{}, metrics)
	hub.restart(eventlog.Cursor{Epoch: 1})
	space := uuid.NullUUID{UUID: uuid.New(), Valid: true}
	jobs := hub.Subscribe(eventlog.Scope{Workspace: space, Topics: []string{"jobs"}}, nil)
	var published []eventlog.Event
	for i, topic := range []string{"jobs", "jobs", "wfo", "jobs", "wfo"} {
		published = append(published, eventlog.Event{Cursor: eventlog.Cursor{Epoch: 1, XID: 9, ID: int64(i)}, Workspace: space, Topic: topic})
	}
	require.Equal(t, 3, hub.publish(published))
	require.Zero(t, hub.publish(published), "all have been passed")
	taken, err := jobs.Take(t.Context())
	require.NoError(t, err)
	require.Len(t, taken, 3)
	require.Equal(t, 3., testutil.ToFloat64(metrics.SSEEventsPublished.WithLabelValues("jobs")))
	require.Equal(t, 2., testutil.ToFloat64(metrics.SSEEventsPublished.WithLabelValues("wfo")))
}

// A subscriber that reads nothing slows down what is published for it, and not the events that it does not get.
func TestEventsThatASubscriberDoesNotGetDoNotWaitForIt(t *testing.T) {
	t.Parallel()
	hub := newHub(&memoryLog{}, ops.NewMetrics())
	hub.restart(eventlog.Cursor{Epoch: 1})
	space := uuid.NullUUID{UUID: uuid.New(), Valid: true}
	hub.Subscribe(eventlog.Scope{Workspace: space, Topics: []string{"jobs"}}, nil)
	event := func(id int64, topic string) eventlog.Event {
		return eventlog.Event{Cursor: eventlog.Cursor{Epoch: 1, XID: 9, ID: id}, Workspace: space, Topic: topic}
	}
	require.Equal(t, 2, hub.publish([]eventlog.Event{event(1, "jobs"), event(2, "jobs")}))
	require.Zero(t, hub.publish([]eventlog.Event{event(3, "wfo")}))
	require.Equal(t, 3, hub.publish([]eventlog.Event{event(4, "jobs")}))
}
