package store

import (
	"context"

	"github.com/google/uuid"
)

// undoneTries is how often a request's transaction is tried that the server undoes.
const undoneTries = 3

// Change is InWorkspace for a request's change of an entity whose lock fn takes. The server ends such a transaction when
// its process has to wait for a processor with the lock (session.IdleHolding), and one of two that wait for each other.
// Nothing of it is left then, so it is tried again: fn may be called several times.
func (s *DB) Change(ctx context.Context, workspace uuid.UUID, fn func(*Tx) error) error {
	return whileUndone(ctx, func() error { return s.InWorkspace(ctx, workspace, fn) })
}

func whileUndone(ctx context.Context, try func() error) error {
	forget := auditAgain(ctx)
	err := try()
	for n := 1; n < undoneTries && undone(err) && ctx.Err() == nil; n++ {
		forget()
		err = try()
	}
	return err
}

// undone reports whether the server has ended a transaction for its client's sake or another's.
func undone(err error) bool {
	switch SQLState(err) {
	case idleInTransaction, serializationFailure, deadlockDetected:
		return true
	}
	return false
}
