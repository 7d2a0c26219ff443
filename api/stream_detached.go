package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/ops/routine"
)

// following is an open stream, and what of its request it needs until its end.
type following struct {
	open    *opening
	of      *followed // nil: not of one entity
	passed  pass
	request string // id
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
	w.out = &chunks{conn: conn, within: w.within}
	ctx, gone := context.WithCancel(context.Background())
	routine.Go(func() error {
		var read [16]byte
		for {
			if _, err := conn.Read(read[:]); err != nil {
				return nil // the client has gone, or we have
			}
		}
	}, func(error) { gone() })
	routine.Go(func() error {
		defer s.detached.done()
		defer func() { _ = conn.Close() }()
		defer f.open.sub.Close()
		s.follow(ctx, w, f)
		return w.out.end()
	}, func(err error) {
		gone()
		if panicked(err) {
			s.failures.Report(context.Background(), "event stream failed", err)
		}
	})
	return true
}

// chunks writes the body of an HTTP/1.1 response whose headers net/http has sent, with chunked transfer coding.
type chunks struct {
	conn   net.Conn
	within time.Duration // bounds the writing of one chunk
	parts  net.Buffers   // of the next chunk
	size   int
	failed error // what came of a write that failed; nothing follows a part of a chunk
}

// chunkSize is what a chunk is sent at: a reader has as long for each as for a single event.
const chunkSize = 16 << 10

func (o *chunks) put(frame []byte) error {
	if o.parts == nil {
		o.parts = append(o.parts, nil) // the length
	}
	o.parts, o.size = append(o.parts, frame), o.size+len(frame)
	if o.size < chunkSize {
		return o.failed
	}
	return o.flush()
}

func (o *chunks) flush() error {
	if o.size == 0 {
		return o.failed
	}
	parts := append(o.parts, []byte("\r\n"))
	parts[0] = append(strconv.AppendInt(make([]byte, 0, 8), int64(o.size), 16), "\r\n"...)
	o.parts, o.size = nil, 0
	return o.write(parts)
}

// end sends the chunk that ends a body.
func (o *chunks) end() error { return o.write(net.Buffers{[]byte("0\r\n\r\n")}) }

func (o *chunks) write(parts net.Buffers) error {
	if o.failed == nil {
		o.failed = o.conn.SetWriteDeadline(time.Now().Add(o.within))
	}
	if o.failed == nil {
		_, o.failed = parts.WriteTo(o.conn)
	}
	return o.failed
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
