package events

import (
	"slices"
	"sync"

	"github.com/google/uuid"

	"millrace/ops"
	"millrace/store"
)

// queueLength bounds the events that wait for one subscriber. A subscriber that falls further
// behind is disconnected, and resumes from the log by its cursor.
const queueLength = 1024

// Hub hands every event the listener reads to the subscribers that asked for its like.
type Hub struct {
	metrics *ops.Metrics
	mu      sync.Mutex
	at      store.Cursor // the last event published
	all     map[*Subscription]struct{}
	of      map[uuid.UUID]map[*Subscription]struct{} // by workspace
	closed  bool
}

// Subscription is one watcher's queue.
type Subscription struct {
	scope  store.EventScope
	events chan store.Event
	hub    *Hub
	once   sync.Once
	from   store.Cursor
}

func newHub(metrics *ops.Metrics, at store.Cursor) *Hub {
	return &Hub{
		metrics: metrics, at: at,
		all: map[*Subscription]struct{}{}, of: map[uuid.UUID]map[*Subscription]struct{}{},
	}
}

// Subscribe opens a queue of the events published from now on. What came before, up to From, is
// in the log.
func (h *Hub) Subscribe(scope store.EventScope) *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub := &Subscription{scope: scope, events: make(chan store.Event, queueLength), hub: h, from: h.at}
	if h.closed {
		close(sub.events)
		return sub
	}
	set := h.set(scope)
	set[sub] = struct{}{}
	h.gauge(sub, 1)
	return sub
}

// set is where subscriptions of a scope are kept; the caller holds the lock.
func (h *Hub) set(scope store.EventScope) map[*Subscription]struct{} {
	if !scope.Workspace.Valid {
		return h.all
	}
	set := h.of[scope.Workspace.UUID]
	if set == nil {
		set = map[*Subscription]struct{}{}
		h.of[scope.Workspace.UUID] = set
	}
	return set
}

func (h *Hub) gauge(sub *Subscription, by float64) {
	topics := sub.scope.Topics
	if len(topics) == 0 {
		topics = store.Topics()
	}
	for _, topic := range topics {
		h.metrics.SSESubscribers.WithLabelValues(topic).Add(by)
	}
}

// From is the place in the log after which the queue begins.
func (s *Subscription) From() store.Cursor { return s.from }

// Events is the queue. It is closed when the subscriber fell too far behind, or the hub closed.
func (s *Subscription) Events() <-chan store.Event { return s.events }

// Close ends the subscription. Safe to call twice.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s)
}

// drop removes a subscription and closes its queue; the caller holds the lock.
func (h *Hub) drop(sub *Subscription) {
	sub.once.Do(func() {
		set := h.set(sub.scope)
		delete(set, sub)
		if sub.scope.Workspace.Valid && len(set) == 0 {
			delete(h.of, sub.scope.Workspace.UUID)
		}
		h.gauge(sub, -1)
		close(sub.events)
	})
}

// publish hands events out in order and moves the hub's place.
func (h *Hub) publish(events []store.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		h.metrics.SSEEventsPublished.WithLabelValues(e.Topic).Inc()
		h.offer(h.all, e)
		if e.Workspace.Valid {
			h.offer(h.of[e.Workspace.UUID], e)
		}
		h.at = e.Cursor
	}
}

func (h *Hub) offer(set map[*Subscription]struct{}, e store.Event) {
	for sub := range set {
		if len(sub.scope.Topics) > 0 && !slices.Contains(sub.scope.Topics, e.Topic) {
			continue
		}
		select {
		case sub.events <- e:
		default:
			h.metrics.SSEQueueDrops.Inc()
			h.drop(sub)
		}
	}
}

// close ends every subscription, and those to come.
func (h *Hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for sub := range h.all {
		h.drop(sub)
	}
	for _, set := range h.of {
		for sub := range set {
			h.drop(sub)
		}
	}
}
