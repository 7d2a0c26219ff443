package api_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
)

// A stream whose client reads nothing waits in a write, where it does not see that its key was revoked. It ends all the same,
// long before the write would, on a connection of its own and on that of a request, as a proxy makes it.
func TestARevokedKeyEndsStreamsWithFullSockets(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/1.0"} {
		r := newFixture(t, func(o *api.Options) { o.StreamWrite, o.Recheck = time.Hour, 50*time.Millisecond })
		host := strings.TrimPrefix(r.url, "http://")
		const streams = 5
		for range streams {
			conn, err := net.Dial("tcp", host)
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
			_, err = fmt.Fprintf(conn, "GET /events/stream?topics=wfo %s\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", protocol, r.key)
			require.NoError(t, err)
			line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, "200 OK")
		}
		require.Eventually(t, func() bool { return following() == streams }, time.Minute, 10*time.Millisecond)
		for range 20 {
			r.publish("wfo", 1000) // some 14 MB, more than the sockets of both ends hold
		}
		blocked := func() int {
			return strings.Count(stacks(), "internal/poll.(*FD).Write(") + strings.Count(stacks(), "internal/poll.(*FD).Writev(")
		}
		require.Eventually(t, func() bool { return blocked() >= streams }, time.Minute, 10*time.Millisecond)
		_, err := r.db.OwnerPool(t).Exec(t.Context(), `update api_keys set revoked_at = clock_timestamp()`)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return following() == 0 }, time.Minute, 10*time.Millisecond, protocol)
	}
}
