package store

import (
	"context"

	"github.com/google/uuid"
)

// Schedules is what work that a schedule may have submitted, and datasets that it may wait for, report to, in the
// transaction in which it happens.
type Schedules interface {
	// Ended reports the end of tunes, walk-forwards or ingestions.
	Ended(ctx context.Context, tx *Tx, workspace uuid.UUID, entities ...uuid.UUID) error
	// NewVersion reports a new version of a dataset.
	NewVersion(ctx context.Context, tx *Tx, workspace uuid.UUID, series string, version uuid.UUID) error
}

// SetSchedules sets the schedules. Set them before the database is used.
func (s *DB) SetSchedules(schedules Schedules) { s.schedules = schedules }

// Schedules are those that are set.
func (s *DB) Schedules() Schedules { return s.schedules }

func (nobody) Ended(context.Context, *Tx, uuid.UUID, ...uuid.UUID) error { return nil }

func (nobody) NewVersion(context.Context, *Tx, uuid.UUID, string, uuid.UUID) error { return nil }
