package guard_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops/guard"
)

var (
	errDown  = errors.New("down")
	errWrong = errors.New("wrong request")
	errBusy  = errors.New("busy")
	errLater = errors.New("come back much later")
)

func options() guard.Options {
	return guard.Options{
		Attempts: 3, Pause: time.Millisecond, Failures: 4, Cooldown: time.Hour, MostWait: 10 * time.Millisecond,
		Temporary: func(err error) bool { return !errors.Is(err, errWrong) },
		RetryAfter: func(err error) time.Duration {
			switch {
			case errors.Is(err, errBusy):
				return 5 * time.Millisecond
			case errors.Is(err, errLater):
				return time.Hour
			}
			return 0
		},
	}
}

// calls runs fn's errors one after another, then succeeds, and returns how many calls were made.
func calls(t *testing.T, g *guard.Guard, errs ...error) (made int, err error) {
	t.Helper()
	value, err := guard.Call(t.Context(), g, func(context.Context) (int, error) {
		made++
		if made <= len(errs) {
			return 0, errs[made-1]
		}
		return 7, nil
	})
	if err == nil {
		require.Equal(t, 7, value)
	}
	return made, err
}

func TestTemporaryErrorsAreRetried(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		errs []error
		made int
		want error
	}{
		{"nothing wrong", nil, 1, nil},
		{"once down", []error{errDown}, 2, nil},
		{"down for good", []error{errDown, errDown, errDown, errDown}, 3, errDown},
		{"wrong request", []error{errWrong}, 1, errWrong},
		{"busy", []error{errBusy}, 2, nil},
		{"busy for long", []error{errLater}, 1, errLater},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			made, err := calls(t, guard.New(options()), test.errs...)
			require.ErrorIs(t, err, test.want)
			require.Equal(t, test.made, made)
		})
	}
}

func TestCircuitOpensAfterRepeatedFailures(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.Attempts, opts.Cooldown = 1, 50*time.Millisecond
	g := guard.New(opts)
	for range 10 {
		made, err := calls(t, g, errWrong)
		require.ErrorIs(t, err, errWrong)
		require.Equal(t, 1, made, "a wrong request says nothing against whom it is made to")
	}
	for range 4 {
		_, err := calls(t, g, errDown)
		require.ErrorIs(t, err, errDown)
	}
	require.True(t, g.Open())
	made, err := calls(t, g)
	require.ErrorIs(t, err, guard.ErrOpen)
	require.ErrorIs(t, err, errDown, "the refused caller gets the reason")
	require.Zero(t, made)
	require.Eventually(t, func() bool {
		_, err := calls(t, g)
		return err == nil
	}, 5*time.Second, 5*time.Millisecond, "one call is let through to see")
	require.False(t, g.Open())
}

func TestAttemptAndCallerHaveSeparateTimeLimits(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.Timeout, opts.Attempts = 20*time.Millisecond, 2
	g := guard.New(opts)
	made := 0
	hang := func(ctx context.Context) (int, error) {
		made++
		<-ctx.Done()
		return 0, ctx.Err()
	}
	_, err := guard.Call(t.Context(), g, hang)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 2, made)

	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err = guard.Call(ctx, g, func(ctx context.Context) (int, error) {
			cancel()
			return hang(ctx)
		})
		cancel()
		require.ErrorIs(t, err, context.Canceled)
	}
	require.False(t, g.Open(), "a caller that cancels is not a failure")
}
