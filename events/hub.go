package events

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"

	"millrace/ops"
	"millrace/store/eventlog"
)

// queueLength bounds the events that wait for one subscriber. A subscriber that falls further
// behind is disconnected, and resumes from the log by its cursor.
const queueLength = 1024

// Why a subscription ended. A client that has a cursor can subscribe again from it.
var (
	// ErrSlow: too many events were waiting.
	ErrSlow = errors.New("subscriber fell too far behind")
	// ErrClosed: the hub closed, or the subscription was.
	ErrClosed = errors.New("subscription closed")
	// ErrReset: the log was replaced, so the subscriber's cursors are void.
	ErrReset = errors.New("the event log was replaced")
)

// Message is an event on its way to many subscribers, who share one encoding of it.
type Message struct {
	eventlog.Event
	once    sync.Once
	encoded []byte
	err     error
}

// Encoded is what the first caller's encode made of the event. All callers must pass the same
// function, and none may change the bytes.
func (m *Message) Encoded(encode func(eventlog.Event) ([]byte, error)) ([]byte, error) {
	m.once.Do(func() { m.encoded, m.err = encode(m.Event) })
	return m.encoded, m.err
}

// eventLog is the part of the store that subscribers catch up from.
type eventLog interface {
	EventsThrough(ctx context.Context, scope eventlog.Scope, after, through eventlog.Cursor, limit int) ([]eventlog.Event, error)
}

// Hub gives every event that the listener reads to the subscribers of its workspace and topic.
type Hub struct {
	log     eventLog
	metrics *ops.Metrics
	mu      sync.Mutex
	at      eventlog.Cursor // the last event published
	all     map[*Subscription]struct{}
	of      map[uuid.UUID]map[*Subscription]struct{} // by workspace
	open    int                                      // subscriptions in both
	drops   int64                                    // of slow subscribers, not yet counted in the database
	closed  bool
	writers dispatcher
}

func newHub(log eventLog, metrics *ops.Metrics) *Hub {
	return &Hub{
		log: log, metrics: metrics,
		all: map[*Subscription]struct{}{}, of: map[uuid.UUID]map[*Subscription]struct{}{},
	}
}

// Subscribe follows the events of a scope that come after a cursor or, when it is nil, from now on.
// Close the subscription when done.
func (h *Hub) Subscribe(scope eventlog.Scope, after *eventlog.Cursor) *Subscription {
	scope.Topics = slices.Clone(scope.Topics)
	sub := &Subscription{hub: h, scope: scope, ready: make(chan struct{}, 1)}
	if after != nil {
		sub.last, sub.phase = *after, replaying
		sub.Wake() // Take reads the log
		return sub
	}
	sub.last, sub.phase = h.add(sub), live
	return sub
}

// add queues for the subscription what is published from now on, which is what comes after the
// cursor returned.
func (h *Hub) add(sub *Subscription) eventlog.Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		sub.end(ErrClosed)
		return h.at
	}
	set := h.set(sub.scope)
	if set == nil {
		set = map[*Subscription]struct{}{}
		h.of[sub.scope.Workspace.UUID] = set
	}
	set[sub] = struct{}{}
	h.countSubscriber(sub, 1)
	return h.at
}

// set is where subscriptions of a scope are kept, nil when there are none; the caller holds the
// lock.
func (h *Hub) set(scope eventlog.Scope) map[*Subscription]struct{} {
	if !scope.Workspace.Valid {
		return h.all
	}
	return h.of[scope.Workspace.UUID]
}

func (h *Hub) countSubscriber(sub *Subscription, by float64) {
	topics := sub.scope.Topics
	if len(topics) == 0 {
		topics = eventlog.Topics()
	}
	for _, topic := range topics {
		h.metrics.SSESubscribers.WithLabelValues(topic).Add(by)
	}
	h.open += int(by)
}

// drop ends a subscription; the caller holds the lock.
func (h *Hub) drop(sub *Subscription, why error) {
	sub.end(why)
	set := h.set(sub.scope)
	if _, ok := set[sub]; !ok {
		return
	}
	delete(set, sub)
	if sub.scope.Workspace.Valid && len(set) == 0 {
		delete(h.of, sub.scope.Workspace.UUID)
	}
	h.countSubscriber(sub, -1)
}

// place is the last event published.
func (h *Hub) place() eventlog.Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// raise moves the place up to the floor of its log, and reports whether it was below. A hub that
// has read to the log's end has missed nothing when days of it are dropped.
func (h *Hub) raise(floor eventlog.Cursor) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.Epoch != floor.Epoch || h.at.XID >= floor.XID {
		return false
	}
	h.at = floor
	return true
}

// subscribers is how many subscriptions are open.
func (h *Hub) subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// takeDrops is how many slow subscribers were dropped since the last call.
func (h *Hub) takeDrops() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.drops
	h.drops = 0
	return n
}

// returnDrops gives back drops that could not be counted.
func (h *Hub) returnDrops(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drops += n
}

// idleAt is the hub's place, and whether everything up to it that is for the subscription has been
// taken from its queue.
func (h *Hub) idleAt(sub *Subscription) (eventlog.Cursor, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return h.at, len(sub.queue) == 0 && sub.ended == nil
}

// publish hands events out in order and moves the hub's place. They are what the log holds after a place
// of the hub; those that it has passed since, as the listener and the relay both read the log, are left out.
// It returns how many events wait in the longest queue.
func (h *Hub) publish(events []eventlog.Event) (waiting int) {
	waiting, due := h.queue(events)
	h.writers.add(due)
	return waiting
}

// queue queues events, and returns the subscriptions that the dispatcher has to deliver to.
func (h *Hub) queue(events []eventlog.Event) (waiting int, due []*Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(events) > 0 && (events[0].Cursor.Epoch != h.at.Epoch || !h.at.Before(events[0].Cursor)) {
		events = events[1:]
	}
	for len(events) > 0 {
		alike := alike(events)
		of := events[0].Workspace
		h.metrics.SSEEventsPublished.WithLabelValues(events[0].Topic).Add(float64(alike))
		all, theirs := h.all, map[*Subscription]struct{}(nil)
		if of.Valid {
			theirs = h.of[of.UUID]
		}
		if len(all)+len(theirs) > 0 {
			messages := messagesOf(events[:alike])
			waiting = max(waiting, h.offer(all, messages, &due), h.offer(theirs, messages, &due))
		}
		h.at = events[alike-1].Cursor
		events = events[alike:]
	}
	return waiting, due
}

// alike is how many of the first events are of the same workspace and topic, as those of jobs that change together.
func alike(events []eventlog.Event) int {
	n := 1
	for n < len(events) && events[n].Workspace == events[0].Workspace && events[n].Topic == events[0].Topic {
		n++
	}
	return n
}

// messagesTogether is how many messages share an allocation: few, as one that waits for a slow subscriber keeps them all.
const messagesTogether = 16

func messagesOf(events []eventlog.Event) []*Message {
	messages := make([]*Message, 0, len(events))
	for some := range slices.Chunk(events, messagesTogether) {
		together := make([]Message, len(some))
		for i := range some {
			together[i].Event = some[i]
			messages = append(messages, &together[i])
		}
	}
	return messages
}

// waiting is how many events wait in the longest queue.
func (h *Hub) waiting() (most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for sub := range h.all {
		most = max(most, sub.length())
	}
	for _, set := range h.of {
		for sub := range set {
			most = max(most, sub.length())
		}
	}
	return most
}

func (h *Hub) offer(set map[*Subscription]struct{}, messages []*Message, due *[]*Subscription) (waiting int) {
	for sub := range set {
		n, dispatch, full := sub.offer(messages)
		if full {
			h.metrics.SSEQueueDrops.Inc()
			h.drops++
			h.drop(sub, ErrSlow)
			continue
		}
		waiting = max(waiting, n)
		if !dispatch {
			continue
		}
		if *due == nil {
			*due = make([]*Subscription, 0, len(set))
		}
		*due = append(*due, sub)
	}
	return waiting
}

// restart moves the hub to a place from which the log is followed again, and ends every
// subscription: their cursors are of another log.
func (h *Hub) restart(at eventlog.Cursor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = at
	h.dropAll(ErrReset)
}

// close ends every subscription, and those to come.
func (h *Hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.dropAll(ErrClosed)
}

func (h *Hub) dropAll(why error) {
	for sub := range h.all {
		h.drop(sub, why)
	}
	for _, set := range h.of {
		for sub := range set {
			h.drop(sub, why)
		}
	}
}
