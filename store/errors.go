package store

import "errors"

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
	// ErrEnded: the tune has already ended, so the change does not apply.
	ErrEnded = errors.New("already ended")
)
