package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
)

// keyCaller is a request that enters the queue of a key.
type keyCaller struct {
	sub   store.Submission
	leave func()
	err   error
	took  time.Duration
	done  chan struct{}
}

func enterKey(q *keyQueue, sub store.Submission, size int) *keyCaller {
	c := &keyCaller{sub: sub, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		began := time.Now()
		c.leave, c.err = q.enter(context.Background(), &c.sub, size)
		c.took = time.Since(began)
	}()
	return c
}

func TestRequestsThatWaitForOneKeyAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newKeyQueue()
		sub := store.Submission{Workspace: uuid.New(), Route: "POST /x", Key: "k"}
		first := enterKey(q, sub, 1<<20)
		synctest.Wait()
		require.NoError(t, first.err)
		var waiting []*keyCaller
		for range keyWaiters {
			waiting = append(waiting, enterKey(q, sub, 1<<10))
		}
		synctest.Wait()
		more := enterKey(q, sub, 1)
		<-more.done
		require.ErrorIs(t, more.err, store.ErrKeyBusy, "too many of one key")
		require.Zero(t, more.took)
		sub.Key = "other"
		served := enterKey(q, sub, keyWaitBytes)
		synctest.Wait()
		require.NoError(t, served.err, "a request that is first does not wait, so it is not bounded")
		large := enterKey(q, sub, keyWaitBytes)
		<-large.done
		require.ErrorIs(t, large.err, store.ErrKeyBusy, "too many bytes in memory")
		served.leave()
		first.leave()
		for range waiting {
			for _, c := range waiting {
				synctest.Wait()
				if c.leave != nil {
					c.leave()
					c.leave = nil
				}
			}
		}
		for _, c := range waiting {
			<-c.done
			require.NoError(t, c.err)
		}
		require.Empty(t, q.lines)
		require.Zero(t, q.bytes)
	})
}

// A request waits for its key at most five seconds in memory and in the database together.
func TestARequestWaitsForItsKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newKeyQueue()
		sub := store.Submission{Workspace: uuid.New(), Route: "POST /x", Key: "k"}
		first := enterKey(q, sub, 0)
		synctest.Wait()
		second := enterKey(q, sub, 0)
		time.Sleep(3 * time.Second) // of the bubble's clock
		first.leave()
		<-second.done
		require.NoError(t, second.err)
		require.Equal(t, 2*time.Second, second.sub.Wait, "what is left of it for the database")
		third := enterKey(q, sub, 0)
		<-third.done
		require.ErrorIs(t, third.err, store.ErrKeyBusy)
		require.Equal(t, keyWait, third.took)
		second.leave()
		require.Empty(t, q.lines)
	})
}
