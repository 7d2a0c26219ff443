package upkeep

import (
	"context"
	"fmt"
	"time"
)

// probeFresh is how long a write that went through speaks for the database: several processes that
// look at it at once write once.
const probeFresh = 2 * time.Second

// ProbeWrite writes a row, in a file of its own, and returns when one was last written: a database
// that only reads, or whose disk is full, answers queries all the same.
func (s *Store) ProbeWrite(ctx context.Context) (at time.Time, err error) {
	if err := s.db.Pool().QueryRow(ctx, `select probe_write($1)`, probeFresh).Scan(&at); err != nil {
		return at, fmt.Errorf("write a probe: %w", err)
	}
	return at, nil
}
