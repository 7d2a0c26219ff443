package routine_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/ops/routine"
)

func TestPanicOfAGoroutineIsItsError(t *testing.T) {
	ended := make(chan error, 1)
	routine.Go(func() error { panic("slice bounds out of range") }, func(err error) { ended <- err })
	err := <-ended
	var panicked *routine.PanicError
	require.ErrorAs(t, err, &panicked)
	assert.Equal(t, "slice bounds out of range", panicked.Value)
	assert.Contains(t, string(panicked.Stack), "routine_test.go", "the stack is that of the panic")
}

func TestPanicOfAGroupIsTheJoinersErrorAndEndsTheOthers(t *testing.T) {
	group, ctx := routine.NewGroup(t.Context())
	group.Run(func() error { <-ctx.Done(); return nil })
	group.Run(func() error { panic(io.ErrUnexpectedEOF) })
	assert.ErrorIs(t, group.Wait(), io.ErrUnexpectedEOF)
}

func TestAContextThatEndsCallsOnceAndAPanicThereEndsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	called := make(chan struct{})
	routine.OnDone(ctx, func() { defer close(called); panic("late") })
	cancel()
	<-called
}

func TestAKeptLoopRunsAgainAfterAPanicUntilItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var group routine.Group
	runs, failures := 0, make(chan error, 10)
	group.Keep(ctx, time.Microsecond, func() error {
		switch runs++; runs {
		case 1:
			panic("first")
		case 2:
			return errors.New("second")
		}
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}, func(err error) { failures <- err })
	require.NoError(t, group.Wait())
	assert.Equal(t, 3, runs)
	require.Len(t, failures, 2)
	assert.ErrorContains(t, <-failures, "panic: first")
	assert.ErrorContains(t, <-failures, "second")
}
