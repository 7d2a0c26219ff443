package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Partition is a piece of the event log, a UTC day of it as a rule, and how many events it
// holds; for a big one that is the planner's estimate.
type Partition struct {
	Name   string
	Events int64
}

// Roll makes the event log's partitions of the coming days.
func (s *Store) Roll(ctx context.Context, days int) (made int, err error) {
	if err := s.db.Pool().QueryRow(ctx, `select event_log_roll($1)`, days).Scan(&made); err != nil {
		return 0, fmt.Errorf("roll event log: %w", err)
	}
	return made, nil
}

// Expired lists what DropExpired would drop, and drops nothing.
func (s *Store) Expired(ctx context.Context, before time.Time) ([]Partition, error) {
	var expired []Partition
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select part, events from event_log_expired($1)`, before)
		if err != nil {
			return fmt.Errorf("list expired event partitions: %w", err)
		}
		expired, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Partition])
		if err != nil {
			return fmt.Errorf("list expired event partitions: %w", err)
		}
		return nil
	})
	return expired, err
}

const (
	// pruneBatch is how many stray rows one transaction deletes.
	pruneBatch = 10_000
	// prunePatience bounds how long a partition is tried for whose lock is not had.
	prunePatience = 30 * time.Second
)

// DropExpired drops every day of the event log that ends by the time given, a transaction
// each, and raises the log's floor with it: a cursor that could miss what is gone is ErrCursorGone
// from then on. It returns what was dropped, also when it fails later.
func (s *Store) DropExpired(ctx context.Context, before time.Time) ([]Partition, error) {
	var dropped []Partition
	giveUp := time.Now().Add(prunePatience)
	for {
		next, err := s.dropOne(ctx, before)
		switch {
		case store.SQLState(err) == store.LockNotAvailable && time.Now().Before(giveUp):
			select {
			case <-ctx.Done():
				return dropped, ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
		case err != nil:
			return dropped, err
		case len(next) == 0:
			return dropped, nil
		default:
			dropped = append(dropped, next...)
			giveUp = time.Now().Add(prunePatience)
		}
	}
}

func (s *Store) dropOne(ctx context.Context, before time.Time) (dropped []Partition, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select part, events from event_log_prune($1, $2)`, before, pruneBatch)
		if err != nil {
			return fmt.Errorf("drop event partition: %w", err)
		}
		dropped, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Partition])
		if err != nil {
			return fmt.Errorf("drop event partition: %w", err)
		}
		return nil
	})
	return dropped, err
}
