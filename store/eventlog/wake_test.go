package eventlog_test

import (
	"testing"

	"github.com/stretchr/testify/require"
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
