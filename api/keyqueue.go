package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"millrace/store"
)

// What bounds the requests that wait for another one with their idempotency key; a request beyond it is
// answered as one that has waited in vain.
const (
	keyWait      = store.KeyWait         // in memory and in the database together
	guessWait    = 20 * time.Millisecond // of a request whose caller is not known yet: it is served again when it is
	keyWaiters   = 64                    // of one key
	keyWaitBytes = 64 << 20              // of the bodies of all that wait in this process
)

// keyQueue has requests with one idempotency key wait for each other in memory: waiting in the database
// takes a connection each, and a few dozen of them would take the whole pool.
type keyQueue struct {
	mu    sync.Mutex
	lines map[string]*keyLine
	bytes int // of the bodies of requests that wait
}

type keyLine struct {
	free chan struct{} // holds one value while no request is served
	in   int           // requests that are served or wait
}

func newKeyQueue() *keyQueue { return &keyQueue{lines: map[string]*keyLine{}} }

// enter waits until no other request of this process has the submission's key, at most keyWait; then, and
// where too many wait already, it is store.ErrKeyBusy. size is that of the request's body in memory. What is
// left of keyWait becomes the submission's own. Call leave at the end.
func (q *keyQueue) enter(ctx context.Context, sub *store.Submission, size int) (leave func(), err error) {
	if sub.Key == "" {
		return func() {}, nil
	}
	began, wait := time.Now(), keyWait
	if sub.Caller != nil {
		wait = guessWait
	}
	busy := fmt.Errorf("key %q: %w", sub.Key, store.ErrKeyBusy)
	name := sub.Workspace.String() + " " + sub.Route + " " + sub.Key
	q.mu.Lock()
	line := q.lines[name]
	if line == nil {
		line = &keyLine{free: make(chan struct{}, 1)}
		line.free <- struct{}{}
		q.lines[name] = line
	}
	if line.in > 0 && (line.in > keyWaiters || q.bytes+size > keyWaitBytes) {
		q.mu.Unlock()
		return nil, busy
	}
	line.in++
	q.bytes += size
	q.mu.Unlock()
	gone := func() {
		q.mu.Lock()
		if line.in--; line.in == 0 {
			delete(q.lines, name)
		}
		q.mu.Unlock()
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	defer func() {
		q.mu.Lock()
		q.bytes -= size // it is served, or answered
		q.mu.Unlock()
	}()
	select {
	case <-line.free:
		if sub.Wait = wait - time.Since(began); sub.Wait > 0 {
			return func() { line.free <- struct{}{}; gone() }, nil
		}
		line.free <- struct{}{}
		gone()
		return nil, busy
	case <-limit.C:
		gone()
		return nil, busy
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
