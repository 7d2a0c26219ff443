package api

import (
	"context"
	"errors"
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
	taken   int    // how many values of ADMIN_TOKEN had been taken away when it was admitted
	request string // id

	ending sync.Mutex
	why    string // it ends; empty: it does not
	by     waiter
	cut    func() // bounds the write that it may be in

	writing sync.Mutex // held by who takes events and writes: the stream's own goroutine, or the dispatcher's
	over    bool       // the entity's last event was written, and the end of its stream was not
	stopped bool       // nothing may be written but the end of the body
}

// followingOf is what a request's stream follows.
func followingOf(c echo.Context, open *opening, of *followed) *following {
	passed, _ := c.Get(passKey).(pass)
	taken, _ := c.Get(takenKey).(int)
	return &following{open: open, of: of, passed: passed, taken: taken, request: requestID(c)}
}

// moveTo has a stream wait and write in another way from now on.
func (f *following) moveTo(by waiter, cut func()) {
	f.ending.Lock()
	defer f.ending.Unlock()
	f.by, f.cut = by, cut
}

// end has a stream end, for the reason that is given first.
func (f *following) end(why string) {
	f.ending.Lock()
	defer f.ending.Unlock()
	if f.why == "" {
		f.why = why
		f.by.wake()
	}
}

// revoke ends a stream whose client may see no more, which a write that waits for it does not hold up for long.
func (f *following) revoke(why string) {
	f.ending.Lock()
	cut := f.cut
	f.ending.Unlock()
	cut()
	f.end(why)
}

// ends is why a stream is to end; empty when it is not.
func (f *following) ends() string {
	f.ending.Lock()
	defer f.ending.Unlock()
	return f.why
}

// detach takes the connection from the request, whose goroutine, buffers and headers keep some 30 kB for as long as
// the request lasts, and follows on a goroutine with a stack of its own, which stays small. It reports whether it has:
// HTTP/2, HTTP/1.0 and requests inside the process have no connection to take.
func (s *Server) detach(c echo.Context, w *eventWriter, f *following, leave func()) bool {
	r := c.Request()
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 || !s.streams.add() {
		return false
	}
	conn, _, err := http.NewResponseController(c.Response().Writer).Hijack()
	if err != nil {
		s.streams.done()
		return false
	}
	f.open.first = nil // sent
	out := newChunks(conn, w.within)
	w.out = out
	f.moveTo(&connWaiting{conn: conn}, out.cut)
	if out.raw != nil {
		f.open.sub.Dispatch(func() { s.dispatched(w, f, out) })
	}
	routine.Go(func() error {
		defer s.streams.done()
		defer func() { _ = conn.Close() }()
		defer leave()
		s.follow(context.Background(), w, f)
		f.writing.Lock()
		defer f.writing.Unlock()
		return w.out.end()
	}, func(err error) {
		if panicked(err) {
			s.failures.Report(context.Background(), "event stream failed", err)
		}
	})
	return true
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

func panicked(err error) bool {
	var panicked *routine.PanicError
	return errors.As(err, &panicked)
}
