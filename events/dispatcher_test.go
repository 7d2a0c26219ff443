package events

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/store/eventlog"
)

// served is a subscription that the dispatcher delivers to, and a goroutine of its own that does the rest.
type served struct {
	sub    *Subscription
	taking sync.Mutex
	left   []*Message // taken by the dispatcher, for the goroutine
	seen   atomic.Int64
	wrong  atomic.Int64
}

func (w *served) take(messages []*Message) {
	for _, m := range messages {
		if m.EntityID != strconv.FormatInt(w.seen.Load()+1, 10) {
			w.wrong.Add(1)
		}
		w.seen.Add(1)
	}
}

// deliver takes what is queued, and now and then leaves a part of it, as a full connection does.
func (w *served) deliver() {
	if !w.taking.TryLock() {
		w.sub.Wake()
		return
	}
	defer w.taking.Unlock()
	if len(w.left) > 0 {
		w.sub.Wake()
		return
	}
	messages, ok := w.sub.TakeLive()
	if half := len(messages) / 2; w.seen.Load()%7 == 0 {
		w.left, messages, ok = messages[half:], messages[:half], false
	}
	if w.take(messages); !ok {
		w.sub.Wake()
	}
}

func (w *served) follow(t *testing.T) error {
	for range w.sub.Ready() {
		w.taking.Lock()
		w.take(w.left)
		w.left = nil
		messages, err := w.sub.Take(t.Context())
		w.take(messages)
		w.taking.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever the dispatcher leaves to a subscription's own goroutine, each event is taken once and in order.
func TestDispatchedEventsAreTakenOnceInOrder(t *testing.T) {
	t.Parallel()
	const subscribers, events = 300, 5000
	hub := newHub(&memoryLog{}, ops.NewMetrics())
	hub.restart(eventlog.Cursor{Epoch: 1})
	all := make([]*served, subscribers)
	var done sync.WaitGroup
	for i := range all {
		w := &served{sub: hub.Subscribe(eventlog.Scope{}, nil)}
		all[i] = w
		w.sub.Dispatch(w.deliver)
		done.Go(func() { require.ErrorIs(t, w.follow(t), ErrClosed) })
	}
	for n := 0; n < events; {
		var batch []eventlog.Event
		for range 1 + n%10 {
			n++
			batch = append(batch, eventlog.Event{Cursor: eventlog.Cursor{Epoch: 1, XID: uint64(n), ID: int64(n)}, EntityID: strconv.Itoa(n)})
		}
		hub.publish(batch)
		if hub.waiting() > queueLength/2 { // a subscriber whose queue is full would be dropped
			require.Eventually(t, func() bool { return hub.waiting() < queueLength/4 }, 30*time.Second, time.Millisecond)
		}
	}
	last := hub.place().ID
	for _, w := range all {
		require.Eventually(t, func() bool { return w.seen.Load() == last }, 30*time.Second, time.Millisecond)
		require.Zero(t, w.wrong.Load())
	}
	hub.close()
	done.Wait()
	hub.writers.mu.Lock()
	defer hub.writers.mu.Unlock()
	require.Empty(t, hub.writers.due)
}

// What panics for one subscription ends that one only.
func TestAPanicOfADeliveryEndsItsSubscription(t *testing.T) {
	t.Parallel()
	hub := newHub(&memoryLog{}, ops.NewMetrics())
	hub.restart(eventlog.Cursor{Epoch: 1})
	bad, good := hub.Subscribe(eventlog.Scope{}, nil), hub.Subscribe(eventlog.Scope{}, nil)
	bad.Dispatch(func() { panic("bad") })
	got := make(chan string, 1)
	good.Dispatch(func() {
		messages, _ := good.TakeLive()
		got <- messages[0].EntityID
	})
	for n := 1; n <= 2; n++ {
		at := eventlog.Cursor{Epoch: 1, XID: uint64(n), ID: int64(n)}
		hub.publish([]eventlog.Event{{Cursor: at, EntityID: strconv.Itoa(n)}})
		require.Equal(t, strconv.Itoa(n), <-got)
	}
	<-bad.Ready()
	_, err := bad.Take(t.Context())
	require.ErrorContains(t, err, "panic: bad")
}

// What is queued while a delivery runs, behind what it takes, is delivered too.
func TestWhatComesDuringADeliveryIsDelivered(t *testing.T) {
	t.Parallel()
	hub := newHub(&memoryLog{}, ops.NewMetrics())
	hub.restart(eventlog.Cursor{Epoch: 1})
	publish := func(n int64) {
		hub.publish([]eventlog.Event{{Cursor: eventlog.Cursor{Epoch: 1, XID: uint64(n), ID: n}}})
	}
	sub := hub.Subscribe(eventlog.Scope{}, nil)
	taken := make(chan int64, 2)
	sub.Dispatch(func() {
		messages, _ := sub.TakeLive()
		for _, m := range messages {
			if m.Cursor.ID == 1 {
				publish(2)
			}
			taken <- m.Cursor.ID
		}
	})
	publish(1)
	for want := int64(1); want <= 2; want++ {
		select {
		case got := <-taken:
			require.Equal(t, want, got)
		case <-time.After(30 * time.Second):
			require.FailNow(t, "an event was left in the queue", "%d", want)
		}
	}
}

// A subscription that still reads the log takes nothing from its queue: what the log has comes first.
func TestTheQueueWaitsForTheLog(t *testing.T) {
	t.Parallel()
	at := func(n int64) eventlog.Event {
		return eventlog.Event{Cursor: eventlog.Cursor{Epoch: 1, XID: uint64(n), ID: n}}
	}
	log := &memoryLog{events: []eventlog.Event{at(1), at(2)}, held: 1}
	hub := newHub(log, ops.NewMetrics())
	hub.restart(at(2).Cursor)
	sub := hub.Subscribe(eventlog.Scope{}, &eventlog.Cursor{Epoch: 1})
	messages, err := sub.Take(t.Context())
	require.NoError(t, err)
	require.Len(t, messages, 1)
	hub.publish([]eventlog.Event{at(3)})
	messages, ok := sub.TakeLive()
	require.Empty(t, messages)
	require.False(t, ok)
	for want := int64(2); want <= 3; want++ {
		messages, err = sub.Take(t.Context())
		require.NoError(t, err)
		require.Len(t, messages, 1)
		require.Equal(t, want, messages[0].Cursor.ID)
	}
	_, ok = sub.TakeLive()
	require.True(t, ok)
}
