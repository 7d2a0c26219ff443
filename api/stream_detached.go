package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"

	"millrace/ops/routine"
)

// following is an open stream, and what of its request it needs until its end.
type following struct {
	open    *opening
	of      *followed // nil: not of one entity
	passed  pass
	request string // id

	writing sync.Mutex // held by who takes events and writes: the stream's own goroutine, or the dispatcher's
	over    bool       // the entity's last event was written, and the end of its stream was not
	stopped bool       // nothing may be written but the end of the body
}

// followingOf is what a request's stream follows.
func followingOf(c echo.Context, open *opening, of *followed) *following {
	passed, _ := c.Get(passKey).(pass)
	return &following{open: open, of: of, passed: passed, request: requestID(c)}
}

// detach takes the connection from the request, whose goroutine, buffers and headers keep some 30 kB for as long as
// the request lasts, and follows on goroutines with stacks of their own, which stay small. It reports whether it has:
// HTTP/2, HTTP/1.0 and requests inside the process have no connection to take.
func (s *Server) detach(c echo.Context, w *eventWriter, f *following) bool {
	r := c.Request()
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 || !s.detached.add() {
		return false
	}
	conn, _, err := http.NewResponseController(c.Response().Writer).Hijack()
	if err != nil {
		s.detached.done()
		return false
	}
	f.open.first = nil // sent
	out := newChunks(conn, w.within)
	w.out = out
	if out.raw != nil {
		f.open.sub.Dispatch(func() { s.dispatched(w, f, out) })
	}
	ctx, gone := context.WithCancel(context.Background())
	routine.Go(func() error { ignore(conn); return nil }, func(error) { gone() })
	routine.Go(func() error {
		defer s.detached.done()
		defer func() { _ = conn.Close() }()
		defer f.open.sub.Close()
		s.follow(ctx, w, f)
		f.writing.Lock()
		defer f.writing.Unlock()
		return w.out.end()
	}, func(err error) {
		gone()
		if panicked(err) {
			s.failures.Report(context.Background(), "event stream failed", err)
		}
	})
	return true
}

// ignoreMost is how much a client may send behind its request, as a body or another request, to which nothing answers.
// What it sends costs a call of the kernel for a few bytes, as a larger buffer would be kept for each stream.
const ignoreMost = 64 << 10

// ignore reads what a client sends, until it has gone, or we have, or it has sent too much.
func ignore(conn io.Reader) {
	var read [16]byte
	for got := 0; got < ignoreMost; {
		n, err := conn.Read(read[:])
		if err != nil {
			return
		}
		got += n
	}
}

// dispatched writes what is queued, as far as the client has room for it, and leaves the rest and all else to the
// stream's own goroutine.
func (s *Server) dispatched(w *eventWriter, f *following, out *chunks) {
	sub := f.open.sub
	if !f.writing.TryLock() {
		sub.Wake() // it is writing, and looks again afterwards
		return
	}
	defer f.writing.Unlock()
	if f.stopped || f.over || !out.clear() {
		sub.Wake()
		return
	}
	messages, ok := sub.TakeLive()
	if len(messages) > 0 {
		w.quiet, w.placed = 0, true
		f.over = f.of.endedBy(messages)
		by, _ := s.unwaiting.Get().(*unwaiting)
		if by == nil {
			by = newUnwaiting()
		}
		ok = out.offer(messages, by) && !f.over
		s.unwaiting.Put(by)
	}
	if !ok {
		sub.Wake()
	}
}

// openStreams counts the streams that a graceful shutdown of net/http does not know.
type openStreams struct {
	mu    sync.Mutex
	open  int
	ended chan struct{} // not nil: no more may open; closed when none is left
}

// add is false when no more may open.
func (o *openStreams) add() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended != nil {
		return false
	}
	o.open++
	return true
}

func (o *openStreams) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open--; o.open == 0 && o.ended != nil {
		close(o.ended)
	}
}

// end lets no more open, and returns what is closed when none is left.
func (o *openStreams) end() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended == nil {
		o.ended = make(chan struct{})
		if o.open == 0 {
			close(o.ended)
		}
	}
	return o.ended
}

func panicked(err error) bool {
	var panicked *routine.PanicError
	return errors.As(err, &panicked)
}
