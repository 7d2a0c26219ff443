package tuning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// TrialsDroppedError is a read of the trials of a tune whose trials retention has dropped. Its summary, leaderboard and
// manifest are still there.
type TrialsDroppedError struct {
	Tune uuid.UUID
	At   time.Time
}

// Error implements error.
func (e *TrialsDroppedError) Error() string {
	return fmt.Sprintf("the trials of tune %s were dropped at %s", e.Tune, e.At.UTC().Format(time.RFC3339))
}

// whyNone is TrialsDroppedError for a tune without shards whose trials were dropped, and nil for any other.
func whyNone(ctx context.Context, tx pgx.Tx, tune uuid.UUID) error {
	var at *time.Time
	err := tx.QueryRow(ctx, `select trials_dropped_at from tunes where id = $1`, tune).Scan(&at)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("tune %s: %w", tune, store.ErrNotFound)
	case err != nil:
		return fmt.Errorf("look for the trials of tune %s: %w", tune, err)
	case at != nil:
		return &TrialsDroppedError{Tune: tune, At: *at}
	}
	return nil
}
