package events

import (
	"context"
	"sync"
	"sync/atomic"

	"millrace/ops/routine"
	"millrace/store/eventlog"
)

// replayPage is how many events are read from the log at once while a subscriber catches up.
const replayPage = 500

// phase is how far a subscription has come.
type phase int

const (
	// replaying: reading the log page by page, not queueing yet, so that a long replay cannot
	// overflow the queue.
	replaying phase = iota
	// joining: queueing, and reading the log up to where the queue begins and perhaps beyond.
	joining
	// live: reading the queue, without what the log has already given.
	live
)

// Subscription is one watcher's place in the feed. Take is for one goroutine at a time.
type Subscription struct {
	hub   *Hub
	scope eventlog.Scope
	ready chan struct{}
	ring  atomic.Pointer[func()] // nil: nobody waits by it
	phase phase
	last  eventlog.Cursor // of the last event taken
	// joined is the hub's place when it began to queue for the subscription.
	joined eventlog.Cursor

	mu      sync.Mutex
	queue   []*Message
	ended   error
	deliver func() // nil: Ready reports what is queued
	due     bool   // the dispatcher is about to call deliver
}

// Ready has a value when Take has something to do.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Dispatch has deliver called when events have been queued, by one of the few goroutines that serve all such
// subscriptions, so it must not wait for anything. It takes by TakeLive; with what it cannot do it calls Wake, for the
// goroutine that waits for Ready, which still gets a value when the subscription ends.
func (s *Subscription) Dispatch(deliver func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver = deliver
}

func (s *Subscription) dispatch() {
	s.mu.Lock()
	s.due = false // before it takes: what is queued from now on makes it due again
	deliver := s.deliver
	s.mu.Unlock()
	if err := routine.Do(func() error { deliver(); return nil }); err != nil {
		s.end(err)
	}
}

// Ring has a function called each time Ready gets a value, by the goroutine that gives it, so it must not wait for anything. It is for
// a goroutine that waits for something else than a channel. What came before, Ready has.
func (s *Subscription) Ring(bell func()) { s.ring.Store(&bell) }

// Wake makes Ready have a value.
func (s *Subscription) Wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
	if bell := s.ring.Load(); bell != nil {
		(*bell)()
	}
}

// TakeLive is Take without a read of the log: false when that, or the end of the subscription, is what Take has next.
func (s *Subscription) TakeLive() ([]*Message, bool) {
	if s.phase != live {
		return nil, false
	}
	messages, err := s.takeQueued()
	return messages, err == nil
}

// Replaying reports whether more of the log, as far as it went when the subscription began, may come.
func (s *Subscription) Replaying() bool { return s.phase == replaying }

// Last is the place that everything taken so far comes up to.
func (s *Subscription) Last() eventlog.Cursor { return s.last }

// Advance moves a subscription with an empty queue up to the hub's place, and returns its own. A client
// that gets it now and then resumes near the end of the log, even when no event was for it for long.
// Only the goroutine that calls Take may call it.
func (s *Subscription) Advance() eventlog.Cursor {
	if s.phase != live {
		return s.last
	}
	at, idle := s.hub.idleAt(s)
	if idle && s.last.Before(at) {
		s.last = at
	}
	return s.last
}

// Take returns the events that are there, perhaps none, in order, each once and none left out. It
// is eventlog.ErrCursorGone when the log cannot be resumed from where the subscription is, and ErrSlow,
// ErrClosed or ErrReset once the subscription has ended.
func (s *Subscription) Take(ctx context.Context) ([]*Message, error) {
	if s.phase == live {
		return s.takeQueued()
	}
	s.Wake() // until live there is always more to do
	page, err := s.hub.log.EventsThrough(ctx, s.scope, s.last, s.joined, replayPage)
	if err != nil {
		return nil, err
	}
	messages := make([]*Message, len(page))
	for i, e := range page {
		messages[i] = &Message{Event: e}
	}
	if len(page) > 0 {
		s.last = page[len(page)-1].Cursor
	}
	switch {
	case len(page) == replayPage:
	case s.phase == replaying:
		s.joined = s.hub.add(s)
		s.phase = joining
	default:
		// The log was read to where the queue began, so what the log did not give is queued.
		s.phase = live
	}
	return messages, nil
}

func (s *Subscription) takeQueued() ([]*Message, error) {
	s.mu.Lock()
	taken, err := s.queue, s.ended
	s.queue = nil
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for len(taken) > 0 && !s.last.Before(taken[0].Cursor) {
		taken = taken[1:] // the replay had it, or the client had it from another server
	}
	if len(taken) > 0 {
		s.last = taken[len(taken)-1].Cursor
	}
	return taken, nil
}

// Close ends the subscription. Safe to call twice.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s, ErrClosed)
}

// offer queues those of the messages that are in the scope, and returns how many wait, or that the queue is full. The caller
// has the dispatcher deliver when it says so.
func (s *Subscription) offer(messages []*Message) (waiting int, dispatch, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.queue)
	for _, m := range messages {
		if !s.scope.Holds(&m.Event) {
			continue
		}
		if len(s.queue) >= queueLength {
			return 0, false, true
		}
		s.queue = append(s.queue, m)
	}
	switch {
	case len(s.queue) == before: // others do not slow down for how many wait there
		return 0, false, false
	case s.deliver == nil:
		s.Wake()
		return len(s.queue), false, false
	}
	dispatch, s.due = !s.due, true
	return len(s.queue), dispatch, false
}

func (s *Subscription) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// end records why the subscription is over, the first time; the queue is dropped.
func (s *Subscription) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended, s.queue = why, nil
	}
	s.Wake()
}
