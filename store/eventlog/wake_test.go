package eventlog_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/store/eventlog"
)

// A NOTIFY takes a lock of the whole server, so only the event that a relay sleeps for makes one. A commit
// that made none is one that the relay sees before it sleeps.
func TestAnEventWakesARelayThatSleepsAndNoOther(t *testing.T) {
	t.Parallel()
	l := newLogFixture(t)
	require.NoError(t, l.session.AwaitWaking(t.Context()))
	writer, watcher := l.connect(""), l.connect("")
	mustExec(t, watcher, `listen millrace_wake`)
	woken := func() (n int) {
		t.Helper()
		mustExec(t, writer, `select pg_notify('millrace_wake', 'the end')`)
		for ; ; n++ {
			got, err := watcher.WaitForNotification(t.Context())
			require.NoError(t, err)
			if got.Payload == "the end" {
				return n
			}
		}
	}
	sleep := func() bool {
		t.Helper()
		asleep, err := l.session.Sleep(t.Context())
		require.NoError(t, err)
		return asleep
	}
	mustExec(t, writer, addEvent, l.space, "no relay")
	require.Zero(t, woken(), "without a relay that sleeps")

	require.True(t, sleep())
	mustExec(t, writer, addEvent, l.space, "asleep")
	require.Equal(t, 1, woken(), "an event while the relay sleeps")
	mustExec(t, writer, `begin`)
	mustExec(t, writer, addEvent, l.space, "undone")
	mustExec(t, writer, `rollback`)
	require.Zero(t, woken(), "an event that was rolled back")

	require.NoError(t, l.session.Wake(t.Context()))
	mustExec(t, writer, addEvent, l.space, "awake")
	require.Zero(t, woken(), "an event while the relay is awake")

	mustExec(t, writer, `begin`)
	mustExec(t, writer, addEvent, l.space, "late")
	require.False(t, sleep(), "while a transaction is open that will wake nobody")
	mustExec(t, writer, `commit`)
	require.True(t, sleep())
	require.Equal(t, []string{"no relay", "asleep", "awake", "late"}, l.read())
}

// A writer that is stopped between getting its transaction id and the lock that shows it must hold readers
// up as any other. With many writers on few processors one is, in about every second run of this test.
func TestAReaderThatLooksOftenMissesNoEvent(t *testing.T) {
	t.Parallel()
	const writers, each = 16, 2500
	l := newLogFixture(t)
	var writing errgroup.Group
	for w := range writers {
		conn := l.connect("")
		writing.Go(func() error {
			for i := range each {
				if _, err := conn.Exec(t.Context(), addEvent, l.space, strconv.Itoa(w*each+i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- writing.Wait() }()
	seen := make([]bool, writers*each)
	for last := false; ; {
		select {
		case err := <-ended:
			require.NoError(t, err)
			last = true
		default:
		}
		for more := true; more; {
			var events []eventlog.Event
			var err error
			events, more, err = l.session.Events(t.Context(), l.at, 200)
			require.NoError(t, err)
			for _, e := range events {
				i, err := strconv.Atoi(e.EntityID)
				require.NoError(t, err)
				seen[i], l.at = true, e.Cursor
			}
		}
		if last {
			break
		}
	}
	missed := 0
	for _, ok := range seen {
		if !ok {
			missed++
		}
	}
	require.Zero(t, missed, "of %d events", len(seen))
}

// The relay of the same process publishes events before it hints at them: its listener has nothing to read then, though the
// place has moved since it began to wait.
func TestAHintOfWhatThePlaceHasPassedMeanwhileIsNotCounted(t *testing.T) {
	t.Parallel()
	l := newLogFixture(t)
	require.NoError(t, l.session.Listen(t.Context()))
	for _, upTo := range []uint64{5, 7, 9} {
		require.NoError(t, l.session.Notify(t.Context(), eventlog.Cursor{XID: upTo}))
	}
	asked := 0
	hinted, err := l.session.Hint(t.Context(), func() eventlog.Cursor {
		asked++
		return eventlog.Cursor{XID: uint64(min(4+2*asked, 8))}
	}, time.Minute)
	require.NoError(t, err)
	require.True(t, hinted)
	require.Equal(t, 3, asked)
}
