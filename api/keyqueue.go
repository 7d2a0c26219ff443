package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"millrace/store"
)

// keyWait is how long a request waits for another one with its idempotency key.
const keyWait = 5 * time.Second

// keyQueue has requests with one idempotency key wait for each other in memory: waiting in the database
// takes a connection each, and a few dozen of them would take the whole pool.
type keyQueue struct {
	mu    sync.Mutex
	lines map[string]*keyLine
}

type keyLine struct {
	free chan struct{} // holds one value while no request is served
	in   int           // requests that are served or wait
}

func newKeyQueue() *keyQueue { return &keyQueue{lines: map[string]*keyLine{}} }

// enter waits until no other request of this process has the submission's key, at most keyWait; then it is
// store.ErrKeyBusy. Call leave at the end.
func (q *keyQueue) enter(ctx context.Context, sub store.Submission) (leave func(), err error) {
	if sub.Key == "" {
		return func() {}, nil
	}
	name := fmt.Sprintf("%s %s %s", sub.Workspace, sub.Route, sub.Key)
	q.mu.Lock()
	line := q.lines[name]
	if line == nil {
		line = &keyLine{free: make(chan struct{}, 1)}
		line.free <- struct{}{}
		q.lines[name] = line
	}
	line.in++
	q.mu.Unlock()
	gone := func() {
		q.mu.Lock()
		if line.in--; line.in == 0 {
			delete(q.lines, name)
		}
		q.mu.Unlock()
	}
	limit := time.NewTimer(keyWait)
	defer limit.Stop()
	select {
	case <-line.free:
		return func() { line.free <- struct{}{}; gone() }, nil
	case <-limit.C:
		gone()
		return nil, fmt.Errorf("key %q: %w", sub.Key, store.ErrKeyBusy)
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
