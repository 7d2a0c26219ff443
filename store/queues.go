package store

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// queues have the callers of this process do one thing at a time for each workspace.
type queues struct {
	mu   sync.Mutex
	open map[uuid.UUID]*queue
}

// queue is one that somebody is in.
type queue struct {
	free    chan struct{} // has an element while nobody is at the front
	callers int
}

func newQueues() *queues { return &queues{open: map[uuid.UUID]*queue{}} }

// enter waits for those before it, and returns what the caller has to call when it is done.
func (q *queues) enter(ctx context.Context, workspace uuid.UUID) (leave func(), err error) {
	q.mu.Lock()
	line := q.open[workspace]
	if line == nil {
		line = &queue{free: make(chan struct{}, 1)}
		line.free <- struct{}{}
		q.open[workspace] = line
	}
	line.callers++
	q.mu.Unlock()
	select {
	case <-line.free:
		return func() { line.free <- struct{}{}; q.left(workspace, line) }, nil
	case <-ctx.Done():
		q.left(workspace, line)
		return nil, ctx.Err()
	}
}

// left forgets a queue that nobody is in.
func (q *queues) left(workspace uuid.UUID, line *queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if line.callers--; line.callers == 0 {
		delete(q.open, workspace)
	}
}
