package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors that callers distinguish. Each is wrapped with what it is about.
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
	// ErrAudit: the audit log could not be written, so the change was not made.
	ErrAudit = errors.New("the audit log cannot be written")
	// ErrNoCandidate: what is to resolve a gap is not of the gap's workspace.
	ErrNoCandidate = errors.New("no such candidate")
	// ErrEnded: what the change is about has already ended, so the change does not apply.
	ErrEnded = errors.New("already ended")
)

// EndedError is ErrEnded with the state that what the change is about is in.
type EndedError struct {
	What  string // as in "tune"
	State string
}

// Error implements error.
func (e *EndedError) Error() string {
	return "the " + e.What + " is " + e.State + ": " + ErrEnded.Error()
}

// Is says that it is ErrEnded.
func (e *EndedError) Is(target error) bool { return target == ErrEnded }

// NotRetryableError is a retry of what has not failed and was not cancelled, or cannot run again.
type NotRetryableError struct {
	What   string // as in "tune"
	Reason string // what it is instead, as in "running"
}

// Error implements error.
func (e *NotRetryableError) Error() string { return "the " + e.What + " is " + e.Reason }

// Transient reports whether err says "not now": the database cannot be reached, is starting or
// stopping, takes no writes for the moment, is out of room, or ended the transaction for another's
// sake. The same call may succeed later, so such an error costs a job no attempt. The call's
// transaction may have been committed all the same.
func Transient(err error) bool {
	return Refused(err) || Unreachable(err)
}

// Refused reports whether the database itself said "not now".
func Refused(err error) bool {
	code := SQLState(err)
	if code == "" {
		return false
	}
	switch code[:2] {
	case "08": // connection exceptions
		return !Pooled(err)
	case "53": // out of disk, memory, connections or another resource
		return true
	case "57":
		return code != queryCanceled && code != databaseDropped
	}
	switch code {
	case readOnlyTransaction, idleInTransaction, serializationFailure, deadlockDetected, LockNotAvailable:
		return true
	}
	return false
}

// Pooled reports whether err is that of a pooler, such as PgBouncer, which takes no session that begins as ours do.
func Pooled(err error) bool {
	var from *pgconn.PgError
	return errors.As(err, &from) && from.Code == "08P01" && strings.Contains(from.Message, "unsupported startup parameter")
}

// Unreachable reports whether err says that the connection to the database was lost or not made. An
// error of another connection may look the same.
func Unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		// Also when making the connection took too long, or the server could not make the session's files: one
		// whose disk is full says so with the code of an internal error.
		code := SQLState(err)
		return code == "" || strings.HasPrefix(code, "XX") || strings.HasPrefix(code, "58")
	}
	if SQLState(err) != "" {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false // the caller's own limit
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed")
}

// ReadOnly reports whether err says that the database, or a session by its settings, only reads: a
// standby, or a primary whose operator refuses writes.
func ReadOnly(err error) bool { return SQLState(err) == readOnlyTransaction }
