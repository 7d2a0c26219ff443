package api

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// waiter is how the goroutine of a stream waits: for a time, for wake, or for its client to go.
type waiter interface {
	// until says how long the next wait is. A wake that comes after it ends that wait, so it is called before the stream looks
	// at what a wake reports.
	until(at time.Time)
	// wait is false when the client has gone.
	wait() bool
	// wake may be called by any goroutine, at any time.
	wake()
}

// requestWaiting waits on the goroutine of a request.
type requestWaiting struct {
	ctx  context.Context //nolint:containedctx // of the request, whose goroutine this is
	at   time.Time
	bell chan struct{}
}

func newRequestWaiting(ctx context.Context) *requestWaiting {
	return &requestWaiting{ctx: ctx, bell: make(chan struct{}, 1)}
}

func (r *requestWaiting) until(at time.Time) { r.at = at }

func (r *requestWaiting) wait() bool {
	timer := time.NewTimer(time.Until(r.at))
	defer timer.Stop()
	select {
	case <-r.ctx.Done():
		return false
	case <-timer.C:
	case <-r.bell:
	}
	return true
}

func (r *requestWaiting) wake() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// connWaiting waits in a read of the connection, which ends when the client goes. What the client sends, as a body or
// another request, is ignored: reading takes 16 bytes a call, as a larger buffer would be kept for each stream.
type connWaiting struct {
	conn net.Conn
	read [16]byte
	got  int
}

// ignoreMost is how much a client may send behind its request before it is taken for gone.
const ignoreMost = 64 << 10

func (c *connWaiting) until(at time.Time) { _ = c.conn.SetReadDeadline(at) } // of a connection that is closed, the read fails

func (c *connWaiting) wait() bool {
	n, err := c.conn.Read(c.read[:])
	c.got += n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	return err == nil && c.got < ignoreMost
}

func (c *connWaiting) wake() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) } // the read ends at once

// openStreams are the streams of this process. A graceful shutdown of net/http does not know those that have taken their
// connection.
type openStreams struct {
	mu       sync.Mutex
	followed map[*following]struct{}
	detached int
	ended    chan struct{} // not nil: all end; closed when no detached one is left
}

const serverStops = "the server is stopping"

// join adds a stream, which ends when all do. The caller calls leave at its end.
func (o *openStreams) join(f *following) (leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended != nil {
		f.end(serverStops)
		return func() {}
	}
	if o.followed == nil {
		o.followed = map[*following]struct{}{}
	}
	o.followed[f] = struct{}{}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.followed, f)
	}
}

// each calls a function with every stream. It must not wait for anything.
func (o *openStreams) each(do func(*following)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for f := range o.followed {
		do(f)
	}
}

// add counts a stream that takes its connection. It is false when no more may open.
func (o *openStreams) add() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended != nil {
		return false
	}
	o.detached++
	return true
}

func (o *openStreams) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.detached--; o.detached == 0 && o.ended != nil {
		close(o.ended)
	}
}

// end ends all streams, lets no more open, and returns what is closed when no detached one is left.
func (o *openStreams) end() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended == nil {
		o.ended = make(chan struct{})
		for f := range o.followed {
			f.end(serverStops)
		}
		if o.detached == 0 {
			close(o.ended)
		}
	}
	return o.ended
}
