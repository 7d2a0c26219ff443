package store

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestCallersOfOneWorkspaceEnterOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, mine := newQueues(), uuid.New()
		leave, err := q.enter(t.Context(), mine)
		require.NoError(t, err)
		entered := false
		done := make(chan struct{})
		go func() {
			defer close(done)
			leave, err := q.enter(context.Background(), mine)
			entered = err == nil
			leave()
		}()
		synctest.Wait()
		require.False(t, entered, "two callers are in at once")
		other, err := q.enter(t.Context(), uuid.New())
		require.NoError(t, err, "another workspace waits for nobody")
		other()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = q.enter(ctx, mine)
		require.ErrorIs(t, err, context.Canceled)
		leave()
		<-done
		require.True(t, entered)
		require.Empty(t, q.open, "queues that nobody is in are kept")
	})
}
