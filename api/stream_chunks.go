package api

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"

	"millrace/events"
)

// chunks writes the body of an HTTP/1.1 response whose headers net/http has sent, with chunked transfer coding.
type chunks struct {
	deadline // of one chunk

	conn   net.Conn
	raw    syscall.RawConn // nil: there is not one, as of TLS
	parts  net.Buffers     // of the next chunk
	size   int
	left   net.Buffers // of what was offered, which comes before anything else
	failed error       // what came of a write that failed; nothing follows a part of a chunk
}

func newChunks(conn net.Conn, within time.Duration) *chunks {
	o := &chunks{conn: conn, deadline: deadline{set: conn.SetWriteDeadline, within: within}}
	if plain, ok := conn.(syscall.Conn); ok {
		if raw, err := plain.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	return o
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
	if o.size > 0 {
		parts := append(o.parts, []byte("\r\n"))
		parts[0] = chunkHead(o.size)
		o.left, o.parts, o.size = append(o.left, parts...), nil, 0
	}
	return o.write()
}

func chunkHead(size int) []byte {
	return append(strconv.AppendInt(make([]byte, 0, 8), int64(size), 16), "\r\n"...)
}

// end sends the chunk that ends a body.
func (o *chunks) end() error {
	o.left = append(o.left, []byte("0\r\n\r\n"))
	err := o.write()
	if o.failed = err; err == nil {
		o.failed = net.ErrClosed
	}
	return err
}

// write sends what is left, in parts that a reader has as long for as for a single event.
func (o *chunks) write() error {
	waits := len(o.left) > 0
	for len(o.left) > 0 && o.failed == nil {
		n, size := 0, 0
		for n < len(o.left) && size < chunkSize {
			size += len(o.left[n])
			n++
		}
		parts := o.left[:n:n]
		o.left = o.left[n:]
		if o.failed = o.next(); o.failed == nil {
			_, o.failed = parts.WriteTo(o.conn)
		}
	}
	o.left = nil
	if waits && o.failed == nil {
		o.failed = o.rest()
	}
	return o.failed
}

// clear reports whether something may be offered: nothing waits before it.
func (o *chunks) clear() bool { return o.failed == nil && len(o.left) == 0 && o.size == 0 }

// offerSize is how much is offered to a connection at once.
const offerSize = 64 << 10

// offer writes events as far as the connection takes them without waiting, and reports whether it took all. What it
// does not take is written by flush. The chunks are shared, so the rest of them takes no memory of its own.
func (o *chunks) offer(messages []*events.Message, by *unwaiting) (all bool) {
	for i, m := range messages {
		chunk, err := m.Encoded(eventChunk)
		if err != nil {
			o.failed = err
			return false
		}
		if len(messages) == 1 {
			var n int
			if n, o.failed = by.write(o.raw, chunk); n < len(chunk) {
				o.left = net.Buffers{chunk[n:]}
			}
			return len(o.left) == 0
		}
		if i == 0 {
			o.left = make(net.Buffers, 0, len(messages))
		}
		o.left = append(o.left, chunk)
	}
	for len(o.left) > 0 && o.failed == nil {
		by.joined = joined(by.joined[:0], o.left)
		var n int
		n, o.failed = by.write(o.raw, by.joined)
		if o.drop(n); n < len(by.joined) {
			return false
		}
	}
	return o.failed == nil
}

// joined appends buffers to one, as many as are offered at once.
func joined(all []byte, parts net.Buffers) []byte {
	for i, part := range parts {
		if i > 0 && len(all)+len(part) > offerSize {
			break
		}
		all = append(all, part...)
	}
	return all
}

// drop takes the first n bytes from what is left.
func (o *chunks) drop(n int) {
	for n > 0 && n >= len(o.left[0]) {
		n -= len(o.left[0])
		o.left = o.left[1:]
	}
	if n > 0 {
		o.left[0] = o.left[0][n:]
	}
}

// unwaiting writes to connections what they have room for. It is for one goroutine at a time, and many streams.
type unwaiting struct {
	joined  []byte // several chunks
	attempt func(fd uintptr) bool
	next    []byte // of the attempt
	n       int
	err     error
}

func newUnwaiting() *unwaiting {
	u := &unwaiting{}
	u.attempt = func(fd uintptr) bool {
		for u.n, u.err = syscall.Write(int(fd), u.next); errors.Is(u.err, syscall.EINTR); {
			u.n, u.err = syscall.Write(int(fd), u.next)
		}
		return true // whatever came of it: not again when there is room
	}
	return u
}

// write returns how much the connection took.
func (u *unwaiting) write(conn syscall.RawConn, next []byte) (int, error) {
	u.next, u.n, u.err = next, 0, nil
	err := conn.Write(u.attempt)
	u.next = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(u.err, syscall.EAGAIN):
		return 0, nil
	case u.err != nil:
		return 0, u.err
	}
	return u.n, nil
}
