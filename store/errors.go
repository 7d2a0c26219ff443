package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors that callers tell apart. Each is wrapped with what it is about.
var (
	// ErrNotFound: no such row in this workspace.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the row exists with other content.
	ErrConflict = errors.New("conflict")
	// ErrFenced: another attempt of the job owns the result now, so this write was refused.
	ErrFenced = errors.New("job attempt no longer holds the job")
	// ErrKeyReused: the idempotency key was used with another body.
	ErrKeyReused = errors.New("idempotency key used with another body")
	// ErrKeyBusy: a request with the same key is still being worked on.
	ErrKeyBusy = errors.New("idempotency key in use")
	// ErrQueueFull: the workspace has as much work waiting as it may.
	ErrQueueFull = errors.New("the workspace's queue is full")
	// ErrRunning: the same work is being done already.
	ErrRunning = errors.New("already running")
	// ErrUploadsFull: the workspace has too many bytes waiting to be ingested.
	ErrUploadsFull = errors.New("too much waits to be ingested")
	// ErrNoCandidate: what is to resolve a gap is not of the gap's workspace.
	ErrNoCandidate = errors.New("no such candidate")
	// ErrEnded: the tune has already ended, so the change does not apply.
	ErrEnded = errors.New("already ended")
)

// Transient reports whether err says that the database could not be asked just now (a lost
// connection, a restart, a serialization failure), so that the same call may succeed later. The
// call's transaction may have been committed all the same.
func Transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if code := SQLState(err); code != "" {
		// Connection exceptions, operator intervention, deadlock, serialization, too many clients.
		return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") ||
			code == "40001" || code == "40P01" || code == "53300"
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed")
}
