package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/store/eventlog"
)

// publish appends n events of a topic to alpha's part of the log, in one transaction.
func (r *fixture) publish(topic string, n int) {
	r.t.Helper()
	_, err := r.db.OwnerPool(r.t).Exec(r.t.Context(), `
		insert into event_log (workspace_id, topic, type, entity_id, payload)
		select $1, $2, 'test', n::text, jsonb_build_object('filler', repeat('x', 500)) from generate_series(1, $3) n`,
		r.alpha.ID, topic, n)
	require.NoError(r.t, err)
}

func TestBadPlacesTopicsAndLimits(t *testing.T) {
	r := newFixture(t)
	bounds, err := r.store.EventLog.Bounds(t.Context())
	require.NoError(t, err)
	good := bounds.Floor.String()
	for _, c := range []struct{ query, field string }{
		{"after=nonsense", "after"},
		{"after=" + good[:26], "after"},
		{"after=" + good + "A", "after"},
		{"after=" + url.QueryEscape(good[:26]+"\n"), "after"},
		{"after=" + url.QueryEscape(good[:13]+"\n\n"+good[15:]), "after"},
		{"after=" + strings.Repeat("_", 27), "after"}, // ids that no log has
		{"topics=weather", "topics"},
		{"topics=jobs,", "topics"},
		{"topics=" + url.QueryEscape("jobs\x00"), "topics"},
		{"limit=0", "limit"},
		{"limit=1001", "limit"},
		{"limit=1e9", "limit"},
	} {
		a := r.do(http.MethodGet, "/events?"+c.query, "")
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", c.query, a.body)
		require.Contains(t, string(a.body), `"`+c.field+`"`)
		if name, value, _ := strings.Cut(c.query, "="); name != "limit" {
			stream := strings.Replace(name, "after", "cursor", 1) + "=" + value
			if name == "topics" {
				a = r.do(http.MethodGet, "/events/stream?"+stream, "")
				require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", stream, a.body)
				continue
			}
			// A browser's EventSource gives a stream up that is refused, so a bad place is reset.
			ctx, cancel := context.WithCancel(t.Context())
			frames, _ := r.openStream(ctx, "/events/stream?"+stream)
			reset := next(t, frames)
			require.Equal(t, "reset", reset.event, stream)
			require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/events?after="+reset.id, "").status)
			cancel()
		}
	}
	// Well-formed places that this log never had, or has no more.
	for name, place := range map[string]eventlog.Cursor{
		"another life":    {Epoch: bounds.Floor.Epoch + 1, XID: bounds.Floor.XID, ID: 1},
		"the future":      {Epoch: bounds.Floor.Epoch, XID: 1 << 40, ID: 1},
		"below the floor": {Epoch: bounds.Floor.Epoch},
	} {
		a := r.do(http.MethodGet, "/events?after="+place.String(), "")
		require.Equal(t, http.StatusGone, a.status, "%s: %s", name, a.body)
		ctx, cancel := context.WithCancel(t.Context())
		frames, _ := r.openStream(ctx, "/events/stream?cursor="+place.String())
		require.Equal(t, "reset", next(t, frames).event, name)
		cancel()
	}
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/events?after="+good, "").status)
}

// What was pruned is reported: 410 to a list, reset to a stream, and the stream then continues.
func TestAPrunedPlaceIsGone(t *testing.T) {
	r := newFixture(t)
	owner := r.db.OwnerPool(t)
	_, err := owner.Exec(t.Context(), `create table event_log_20240501 (like event_log including defaults);
		alter table event_log attach partition event_log_20240501 for values from ('2024-05-01 00:00+00') to ('2024-05-02 00:00+00')`)
	require.NoError(t, err)
	_, err = owner.Exec(t.Context(), `insert into event_log (workspace_id, topic, type, entity_id, payload, at)
		select $1, 'wfo', 'wfo.run.deleted', n::text, '{"deletion_id": ""}', '2024-05-01 12:00+00' from generate_series(1, 3) n`, r.alpha.ID)
	require.NoError(t, err)
	type list struct {
		Items []struct{ Cursor string }
		Next  string `json:"next_cursor"`
	}
	var old list
	require.Eventually(t, func() bool {
		old = into[list](t, r.do(http.MethodGet, "/events?limit=2", ""))
		return len(old.Items) == 2
	}, 30*time.Second, 20*time.Millisecond)
	dropped, err := r.store.EventLog.DropExpired(t.Context(), time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Len(t, dropped, 1)
	require.Equal(t, http.StatusGone, r.do(http.MethodGet, "/events?after="+old.Next, "").status)
	frames, _ := r.openStream(t.Context(), "/events/stream", "Last-Event-ID", old.Next)
	reset := next(t, frames)
	require.Equal(t, "reset", reset.event)
	r.publish("wfo", 1)
	f := next(t, frames)
	require.Equal(t, "test", f.event)
	_, err = owner.Exec(t.Context(), `delete from event_log where type = 'test'`) // which the document does not describe
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/events?after="+reset.id, "").status, "the place that reset names can be resumed from")
}

// While nothing is for it, a stream still learns how far it is, and can resume from there.
func TestAQuietStreamLearnsItsPlace(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = 50 * time.Millisecond })
	conn := r.rawStream("/events/stream?topics=wfo")
	place := func() eventlog.Cursor {
		for {
			line, err := conn.ReadString('\n')
			require.NoError(t, err)
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				c, err := eventlog.ParseCursor(strings.TrimSpace(id))
				require.NoError(t, err)
				return c
			}
		}
	}
	first := place()
	r.publish("jobs", 3)
	at := place()
	for !first.Before(at) {
		at = place()
	}
	r.publish("wfo", 1)
	frames, _ := r.openStream(t.Context(), "/events/stream?topics=wfo", "Last-Event-ID", at.String())
	require.Equal(t, "test", next(t, frames).event)
}

// rawStream opens a stream by hand, with room for little; nothing reads it but the test.
func (r *fixture) rawStream(path string) *bufio.Reader {
	r.t.Helper()
	return r.dialStream(path, func(conn *net.TCPConn) error { return conn.SetReadBuffer(4096) })
}

func (r *fixture) dialStream(path string, set func(*net.TCPConn) error) *bufio.Reader {
	r.t.Helper()
	host := strings.TrimPrefix(r.url, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(r.t, set(conn.(*net.TCPConn)))
	require.NoError(r.t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, host, r.key)
	require.NoError(r.t, err)
	in := bufio.NewReaderSize(conn, 16)
	for line := ""; !strings.HasPrefix(line, "retry: "); {
		line, err = in.ReadString('\n')
		require.NoError(r.t, err)
	}
	return in
}

// A client that reads nothing is let go, whether its peer is slow or gone, and so is one that takes a byte a second. They
// hold up nobody.
func TestAClientThatReadsNothingIsDisconnected(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.StreamWrite = 200 * time.Millisecond })
	r.rawStream("/events/stream?topics=wfo")
	drip, done := r.rawStream("/events/stream?topics=wfo"), make(chan struct{})
	defer close(done)
	go func() {
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for {
			select {
			case <-second.C:
				if _, err := drip.ReadByte(); err != nil {
					return
				}
			case <-done:
				return
			}
		}
	}()
	frames, _ := r.openStream(t.Context(), "/events/stream?topics=wfo")
	open := func() int { return r.look.Feed().Subscribers }
	require.Equal(t, 3, open())
	const events = 20_000 // some 14 MB, more than the sockets of both ends hold
	go func() {
		for range events / 1000 {
			r.publish("wfo", 1000)
		}
	}()
	for range events {
		next(t, frames)
	}
	require.Eventually(t, func() bool { return open() == 1 && following() == 1 }, 30*time.Second, 20*time.Millisecond)
}

// What a client sends into its stream is ignored; one that does not stop sending is let go, as reading it takes a processor.
func TestAClientThatSendsWithoutEndIsDisconnected(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = time.Hour })
	var conn *net.TCPConn
	in := r.dialStream("/events/stream?topics=wfo", func(c *net.TCPConn) error { conn = c; return nil })
	_, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	r.publish("wfo", 1)
	for line := ""; !strings.HasPrefix(line, "data: "); {
		line, err = in.ReadString('\n')
		require.NoError(t, err)
	}
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(time.Minute)))
	for sent := 0; err == nil; sent += 1 << 20 {
		require.Less(t, sent, 64<<20, "all of it was read")
		_, err = conn.Write(make([]byte, 1<<20))
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Eventually(t, func() bool { return r.look.Feed().Subscribers == 0 && following() == 0 }, 30*time.Second, 5*time.Millisecond)
}

// A client that begins to read late gets all events in order, the last of them too, though no later one wakes its
// stream.
func TestAClientThatReadsLateGetsAllInOrder(t *testing.T) {
	r := newFixture(t)
	in := r.dialStream("/events/stream?topics=wfo", func(*net.TCPConn) error { return nil })
	const events, batch = 800, 50 // 13 MB, more than the sockets of both ends hold, in less than a queue
	for first := 1; first < events; first += batch {
		_, err := r.db.OwnerPool(t).Exec(t.Context(), `
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select $1, 'wfo', 'test', n::text, jsonb_build_object('filler', repeat('x', 16000)) from generate_series($2::int, $3) n`,
			r.alpha.ID, first, first+batch-1)
		require.NoError(t, err)
	}
	frames, _ := r.openStream(t.Context(), "/events/stream?topics=wfo&cursor="+r.floor())
	for range events {
		next(t, frames) // all have been handed to the late client's stream too
	}
	for n := 1; n <= events; {
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		if _, after, ok := strings.Cut(line, `"entity_id":"`); ok {
			id, _, _ := strings.Cut(after, `"`)
			require.Equal(t, strconv.Itoa(n), id)
			n++
		}
	}
}

// floor is the place before all events.
func (r *fixture) floor() string {
	bounds, err := r.store.EventLog.Bounds(r.t.Context())
	require.NoError(r.t, err)
	return bounds.Floor.String()
}

// following is how many handlers of streams are running in this process.
func following() int {
	return strings.Count(stacks(), "api.(*Server).follow(")
}

// stacks are those of all goroutines.
func stacks() string {
	all := make([]byte, 4<<20)
	return string(all[:runtime.Stack(all, true)])
}

// A server that stops ends its streams, and asks each client to come back after a wait of its own.
func TestAStopSpreadsTheReturnOfItsClients(t *testing.T) {
	r := newFixture(t)
	var streams []*bufio.Reader
	for range 20 {
		streams = append(streams, r.rawStream("/events/stream"))
	}
	// A request that has not yet given up its connection is one that a graceful shutdown waits for.
	require.Eventually(t, func() bool { return following() == len(streams) }, 30*time.Second, 10*time.Millisecond)
	r.server.EndStreams()
	require.Zero(t, r.look.Feed().Subscribers, "the server stopped before its streams had ended")
	waits := map[int]bool{}
	for _, in := range streams {
		var wait int
		for {
			line, err := in.ReadString('\n')
			if err != nil || line == "0\r\n" {
				break // the end of the body
			}
			if ms, ok := strings.CutPrefix(line, "retry: "); ok {
				wait, err = strconv.Atoi(strings.TrimSpace(ms))
				require.NoError(t, err)
			}
		}
		require.GreaterOrEqual(t, wait, 1000)
		require.LessOrEqual(t, wait, 5000)
		waits[wait] = true
	}
	require.Greater(t, len(waits), 15, "all would come back at once")
}

// A client that leaves is noticed at once and not at the next heartbeat; one of HTTP/1.0 is served, without chunks.
func TestAStreamEndsWithItsClient(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Heartbeat = time.Hour })
	host := strings.TrimPrefix(r.url, "http://")
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		conn, err := net.Dial("tcp", host)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		_, err = fmt.Fprintf(conn, "GET /events/stream?topics=wfo %s\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", version, host, r.key)
		require.NoError(t, err)
		in := bufio.NewReader(conn)
		var lines []string
		for line := ""; !strings.HasPrefix(line, "data: "); {
			if line, err = in.ReadString('\n'); strings.HasPrefix(line, "retry: ") {
				r.publish("wfo", 1)
			}
			require.NoError(t, err)
			lines = append(lines, line)
		}
		require.Equal(t, version == "HTTP/1.1", slices.Contains(lines, "Transfer-Encoding: chunked\r\n"), lines)
		require.Equal(t, 1, r.look.Feed().Subscribers)
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool { return r.look.Feed().Subscribers == 0 && following() == 0 }, 30*time.Second, 5*time.Millisecond)
	}
}
