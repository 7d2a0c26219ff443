// Package guard makes calls to things outside that may hang, fail or be gone: each attempt has a
// time limit, what may succeed later is tried again, and what keeps failing is left alone for a
// while, so that callers fail at once instead of waiting in line.
package guard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// ErrOpen says that no call was made: too many have failed lately. It comes wrapped with the last of
// their errors, so that the refused caller gets the reason.
var ErrOpen = circuitbreaker.ErrOpen

// Options make a Guard. Zero fields take their defaults.
type Options struct {
	Timeout  time.Duration // of one attempt; default 5 s
	Attempts int           // in all; default 1
	Pause    time.Duration // before the second attempt, then twice as long each time; default 100 ms
	Failures uint          // in a row that open the circuit; default 5
	Cooldown time.Duration // how long it stays open before one call probes; default 5 s
	// Temporary reports whether an error is the service's fault, not the request's. Only such errors
	// are retried and counted.
	Temporary func(error) bool
	// RetryAfter is what the error asks to wait, 0 when it does not say. An error that asks for more
	// than MostWait is not tried again.
	RetryAfter func(error) time.Duration
	MostWait   time.Duration // default 2 s
}

// Guard guards the calls to one thing. It is safe for concurrent use.
type Guard struct {
	timeout time.Duration
	policy  failsafe.Executor[any]
	breaker circuitbreaker.CircuitBreaker[any]
	counts  func(error) bool
	last    atomic.Pointer[error] // that counted
}

// New makes a guard.
func New(opts Options) *Guard {
	orElse(&opts.Timeout, 5*time.Second)
	orElse(&opts.Attempts, 1)
	orElse(&opts.Pause, 100*time.Millisecond)
	orElse(&opts.Failures, 5)
	orElse(&opts.Cooldown, 5*time.Second)
	orElse(&opts.MostWait, 2*time.Second)
	if opts.RetryAfter == nil {
		opts.RetryAfter = func(error) time.Duration { return 0 }
	}
	counts := func(err error) bool {
		// A caller that cancels is not a failure of the service.
		return err != nil && !errors.Is(err, context.Canceled) && opts.Temporary(err)
	}
	temporary := func(_ any, err error) bool { return counts(err) }
	breaker := circuitbreaker.NewBuilder[any]().HandleIf(temporary).
		WithFailureThreshold(opts.Failures).WithDelay(opts.Cooldown).Build()
	retry := retrypolicy.NewBuilder[any]().
		HandleIf(func(value any, err error) bool {
			return temporary(value, err) && !errors.Is(err, ErrOpen) && opts.RetryAfter(err) <= opts.MostWait
		}).
		WithMaxAttempts(opts.Attempts).WithBackoff(opts.Pause, max(2*opts.Pause, opts.MostWait)).WithJitterFactor(0.2).
		WithDelayFunc(func(attempt failsafe.ExecutionAttempt[any]) time.Duration {
			if wait := opts.RetryAfter(attempt.LastError()); wait > 0 {
				return wait
			}
			return -1 // the backoff's
		}).
		ReturnLastFailure().Build()
	return &Guard{timeout: opts.Timeout, policy: failsafe.With[any](retry, breaker), breaker: breaker, counts: counts}
}

// Open reports whether calls are being left out.
func (g *Guard) Open() bool { return g.breaker.IsOpen() }

// Call calls fn under the guard. The error is ErrOpen when no call was made.
func Call[R any](ctx context.Context, g *Guard, fn func(context.Context) (R, error)) (R, error) {
	var result R
	err := g.policy.WithContext(ctx).RunWithExecution(func(failsafe.Execution[any]) error {
		limited, cancel := context.WithTimeout(ctx, g.timeout)
		defer cancel()
		var err error
		if result, err = fn(limited); g.counts(err) {
			g.last.Store(&err)
		}
		return err
	})
	if last := g.last.Load(); last != nil && errors.Is(err, ErrOpen) {
		err = fmt.Errorf("%w: %w", err, *last)
	}
	return result, err
}

func orElse[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}
