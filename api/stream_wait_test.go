package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func distant() time.Time { return time.Now().Add(time.Hour) }

// A wake that comes after the stream has said how long it waits, and before it waits, ends that wait.
func TestAWakeBeforeAWaitIsNotLost(t *testing.T) {
	t.Parallel()
	server, _ := connected(t)
	for name, by := range map[string]waiter{"request": newRequestWaiting(t.Context()), "connection": &connWaiting{conn: server}} {
		t.Run(name, func(t *testing.T) {
			var wakes sync.WaitGroup
			defer wakes.Wait()
			for range 1000 {
				by.until(distant())
				wakes.Go(by.wake)
				require.True(t, by.wait())
				wakes.Wait() // the next wait has a wake of its own
			}
			by.until(time.Now().Add(time.Millisecond))
			require.True(t, by.wait(), "the time has come")
		})
	}
}

// The client of a stream may be behind TLS, which has a reader of its own.
func TestAStreamBehindTLSIsWoken(t *testing.T) {
	t.Parallel()
	server, client := connected(t)
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	secured := tls.Server(server, &tls.Config{Certificates: certificate.TLS.Certificates}) //nolint:gosec // a test's
	hand := make(chan error, 1)
	go func() { hand <- secured.HandshakeContext(t.Context()) }()
	peer := tls.Client(client, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's
	require.NoError(t, peer.HandshakeContext(t.Context()))
	require.NoError(t, <-hand)
	by := &connWaiting{conn: secured}
	for range 3 {
		by.until(distant())
		by.wake()
		require.True(t, by.wait())
	}
	require.NoError(t, peer.Close())
	by.until(distant())
	require.False(t, by.wait())
}

func TestAClientThatGoesEndsAWait(t *testing.T) {
	t.Parallel()
	server, client := connected(t)
	onConn := &connWaiting{conn: server}
	onConn.until(distant())
	require.NoError(t, client.Close())
	require.False(t, onConn.wait())

	ctx, cancel := context.WithCancel(t.Context())
	onRequest := newRequestWaiting(ctx)
	onRequest.until(distant())
	cancel()
	require.False(t, onRequest.wait())
}

// A stream that joins when all have ended ends too; nobody else would end it.
func TestAStreamThatJoinsAServerThatStopsEnds(t *testing.T) {
	t.Parallel()
	var all openStreams
	early, left, late := following{by: newRequestWaiting(t.Context())}, following{by: newRequestWaiting(t.Context())}, following{by: newRequestWaiting(t.Context())}
	defer all.join(&early)()
	all.join(&left)()
	all.end()
	defer all.join(&late)()
	require.Equal(t, serverStops, early.ends())
	require.Empty(t, left.ends(), "it has left")
	require.Equal(t, serverStops, late.ends())
	late.end(passOver)
	require.Equal(t, serverStops, late.ends(), "the first reason stays")
}

// A client that reads nothing holds its stream no longer than what opened it, though one write may take longer.
func TestAWriteEndsSoonAfterWhatOpenedTheStream(t *testing.T) {
	t.Parallel()
	server, _ := net.Pipe()
	out := newChunks(server, time.Hour)
	out.endBy(time.Now())
	require.ErrorIs(t, out.put(make([]byte, chunkSize)), os.ErrDeadlineExceeded)
}
