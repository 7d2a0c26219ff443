package tenants

import (
	"context"
	"fmt"
	"time"
)

// Rate is how much is admitted within any window of that length. The zero Rate admits everything.
type Rate struct {
	Most   int
	Window time.Duration
}

// Quota is what a limit says to one request.
type Quota struct {
	Admitted  bool
	Remaining int
	// Wait is how long until the next unit comes back.
	Wait time.Duration
}

// Take asks for one unit of a rate on behalf of the one that the key names. What is admitted holds across
// every process that asks the same database.
func (s *Store) Take(ctx context.Context, key string, rate Rate) (Quota, error) {
	var q Quota
	var seconds float64
	err := s.db.Pool().QueryRow(ctx, `select admitted, remaining, wait_seconds from rate_limit_take($1, $2, $3)`,
		key, rate.Most, rate.Window.Seconds()).Scan(&q.Admitted, &q.Remaining, &seconds)
	if err != nil {
		return q, fmt.Errorf("rate limit: %w", err)
	}
	q.Wait = time.Duration(seconds * float64(time.Second))
	return q, nil
}

// ForgetRates drops what is counted for nobody any more.
func (s *Store) ForgetRates(ctx context.Context) error {
	if _, err := s.db.Pool().Exec(ctx, `select rate_limit_forget()`); err != nil {
		return fmt.Errorf("forget rate limits: %w", err)
	}
	return nil
}
