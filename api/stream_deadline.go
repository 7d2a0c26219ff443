package api

import (
	"sync/atomic"
	"time"
)

// cutWithin is how long a stream may still write once what opened it has ended.
const cutWithin = 500 * time.Millisecond

// deadline bounds the writes to a client. One goroutine writes; cut may come from any.
type deadline struct {
	set    func(time.Time) error // of the connection
	within time.Duration         // of one write
	last   atomic.Pointer[time.Time]
}

// next begins a write.
func (d *deadline) next() error { return d.until(time.Now().Add(d.within)) }

// rest follows a write: a deadline that has passed would fail what is written without waiting.
func (d *deadline) rest() error { return d.until(time.Time{}) }

// until sets a deadline, or the last one where that comes before it. A cut that comes meanwhile is seen by one of both.
func (d *deadline) until(at time.Time) error {
	err := d.set(at)
	if last := d.last.Load(); err == nil && last != nil && (at.IsZero() || last.Before(at)) {
		return d.set(*last)
	}
	return err
}

// endBy bounds all writes from now on.
func (d *deadline) endBy(at time.Time) { d.last.Store(&at) }

// cut ends a write that waits for its client to read, soon, and all after it.
func (d *deadline) cut() {
	at := time.Now().Add(cutWithin)
	d.last.Store(&at)
	_ = d.set(at) // a connection that has failed is at its end
}
