package api

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
		out := &chunks{conn: server, within: time.Minute}
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
	out := &chunks{conn: server, within: 50 * time.Millisecond}
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
