package api

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/events"
	"millrace/store/eventlog"
)

func TestChunksAreTheFramesThatWerePut(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	var want strings.Builder
	done := make(chan error, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	var frames [][]byte
	for range 300 {
		frame := []byte(strings.Repeat("x", rng.IntN(700)))
		frames = append(frames, frame)
		want.Write(frame)
	}
	frames = append(frames, []byte(strings.Repeat("y", 5*chunkSize)))
	want.Write(frames[300])
	go func() {
		out := newChunks(server, time.Minute)
		for i, frame := range frames {
			if err := out.put(frame); err != nil {
				done <- err
				return
			}
			if i%7 == 0 {
				_ = out.flush()
			}
		}
		_ = out.flush()
		done <- out.end()
	}()
	got, err := io.ReadAll(httputil.NewChunkedReader(client))
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got))
	require.NoError(t, <-done)
}

// What follows a chunk of which a part was sent would be taken for the rest of it.
func TestNothingFollowsAChunkThatWasCut(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	out := newChunks(server, 50*time.Millisecond)
	read := make(chan int, 1)
	go func() {
		n, _ := io.ReadFull(client, make([]byte, 3))
		read <- n
	}()
	require.Error(t, out.put([]byte(strings.Repeat("x", chunkSize))), "nobody read it")
	require.Equal(t, 3, <-read)
	rest := make(chan int, 1)
	go func() {
		n, _ := client.Read(make([]byte, 1))
		rest <- n
	}()
	require.Error(t, out.put([]byte("more")))
	require.Error(t, out.flush())
	require.Error(t, out.end())
	require.NoError(t, server.Close())
	require.Zero(t, <-rest)
}

func TestAServerThatStopsOpensNoStreamBeyondItsRequest(t *testing.T) {
	t.Parallel()
	var open openStreams
	require.True(t, open.add())
	ended := open.end()
	require.False(t, open.add())
	select {
	case <-ended:
		t.Fatal("a stream is open")
	default:
	}
	open.done()
	<-ended
	<-open.end()
}

// connected are the two ends of a connection.
func connected(t *testing.T) (server, client net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	client, err = net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	server, err = listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server, client
}

// What a connection has no room for comes before all that follows, whether several events are offered or one.
func TestWhatAClientHasNoRoomForComesFirst(t *testing.T) {
	t.Parallel()
	server, client := connected(t)
	require.NoError(t, server.(*net.TCPConn).SetWriteBuffer(8<<10))
	out, by := newChunks(server, time.Minute), newUnwaiting()
	var want strings.Builder
	put := func(frame string) {
		want.WriteString(frame)
		require.NoError(t, out.put([]byte(frame)))
	}
	message := func(n int) *events.Message {
		m := &events.Message{Event: eventlog.Event{Type: "test", Payload: json.RawMessage(`"` + strings.Repeat("x", n) + `"`)}}
		frame, err := eventFrame(m.Event)
		require.NoError(t, err)
		want.Write(frame)
		return m
	}
	read := make(chan string)
	refused := 0
	for round := range 40 {
		messages := []*events.Message{message(100 << 10)}
		for range round % 3 * 50 {
			messages = append(messages, message(3<<10))
		}
		if out.offer(messages, by) {
			continue
		}
		require.False(t, out.clear())
		if refused++; refused == 1 { // nothing is read before
			go func() {
				all, _ := io.ReadAll(httputil.NewChunkedReader(client))
				read <- string(all)
			}()
		}
		put("a heartbeat\n")
		require.NoError(t, out.flush())
		require.True(t, out.clear())
	}
	require.NotZero(t, refused)
	require.NoError(t, out.end())
	require.False(t, out.clear(), "nothing follows the end")
	require.Equal(t, want.String(), <-read)
}

// A time limit that has passed is of the write that waited, and not of those to come.
func TestAnOldDeadlineFailsNothing(t *testing.T) {
	t.Parallel()
	server, _ := connected(t)
	out := newChunks(server, time.Millisecond)
	require.NoError(t, out.put([]byte(":\n")))
	require.NoError(t, out.flush())
	<-time.After(20 * time.Millisecond) // the limit passes
	require.True(t, out.offer([]*events.Message{{Event: eventlog.Event{Type: "test"}}}, newUnwaiting()))
}
