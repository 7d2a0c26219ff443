package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Clock is the database's clock as this process knows it: the machine's own may be hours off, and
// what decides must be the same for the whole fleet. Each heartbeat of a worker sets it, and each count
// of an API process; in between it advances
// with the time that passes here, which no change of the machine's clock touches. Before the first
// heartbeat it is the machine's.
type Clock struct {
	machine func() time.Time // with a monotonic reading, as time.Now gives it

	mu       sync.Mutex
	database time.Time // what the database said
	at       time.Time // here, when it said so
}

func newClock() *Clock { return &Clock{machine: time.Now} }

// Now is the database's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.machine()
	if c.at.IsZero() {
		return now.UTC().Round(0)
	}
	return c.database.Add(now.Sub(c.at))
}

// Machine is the time by the machine's own clock, with a monotonic reading.
func (c *Clock) Machine() time.Time { return c.machine() }

// Set notes what the database said between two moments of the machine's clock.
func (c *Clock) Set(database, asked, answered time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.database, c.at = database.UTC(), asked.Add(answered.Sub(asked)/2)
}

// Clock is the database's clock, for what decides and is not decided in SQL.
func (s *DB) Clock() *Clock { return s.clock }

// Ahead is by how much the machine's clock is ahead of the database's; 0 before it is set.
func (c *Clock) Ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return 0
	}
	now := c.machine()
	// Round drops the monotonic reading, so that the clocks are compared and not the time that passed.
	return now.Round(0).Sub(c.database.Add(now.Sub(c.at)))
}

// SyncClock asks the database for its time.
func (s *DB) SyncClock(ctx context.Context) error {
	var now time.Time
	asked := s.clock.machine()
	if err := s.pool.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return fmt.Errorf("ask for the database's time: %w", err)
	}
	s.clock.Set(now, asked, s.clock.machine())
	return nil
}
