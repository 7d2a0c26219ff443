package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"millrace/store/eventlog"
)

// place is an event's place in the log.
type place struct {
	XID uint64
	ID  int64
}

func (p place) before(other place) bool {
	return p.XID < other.XID || p.XID == other.XID && p.ID < other.ID
}

func (t tenant) scope() uuid.NullUUID { return uuid.NullUUID{UUID: t.ID, Valid: true} }

// reader is a client that follows a workspace's stream, drops it again and again, and resumes from
// its last id on whichever server answers.
type reader struct {
	torrent *torrent
	tenant  tenant
	rng     *rand.Rand
	slow    bool // takes so little now and then that it is dropped
	begun   chan struct{}

	mu    sync.Mutex
	seen  []place
	since place // where it began
	drops int
	odd   []string // what no stream should do
}

func (rd *reader) follow(ctx context.Context) {
	// The pool of connections is the reader's own, so that dropping a stream closes a connection.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	last := ""
	for ctx.Err() == nil {
		last = rd.stream(ctx, client, last)
	}
}

// stream reads one stream for a while, and returns the last id.
func (rd *reader) stream(ctx context.Context, client *http.Client, last string) string {
	ctx, cancel := context.WithTimeout(ctx, between(rd.rng, 300, 5000))
	defer cancel()
	s, err := openStream(ctx, client, pick(rd.rng, rd.torrent.servers).url, rd.tenant.key, last)
	if err != nil {
		<-time.After(50 * time.Millisecond) // the server or its database is away
		return last
	}
	defer s.close()
	rd.mu.Lock()
	rd.drops++
	rd.mu.Unlock()
	if last == "" {
		begun, err := eventlog.ParseCursor(s.begins)
		if err != nil {
			rd.oddity(fmt.Sprintf("stream begins at %q: %v", s.begins, err))
			return last
		}
		rd.since, last = place{begun.XID, begun.ID}, s.begins
		close(rd.begun)
	}
	for {
		f := s.next()
		if f.err != nil {
			return last
		}
		if f.id == "" {
			continue
		}
		cursor, err := eventlog.ParseCursor(f.id)
		if err != nil {
			rd.oddity(fmt.Sprintf("id %q: %v", f.id, err))
			return last
		}
		at := place{cursor.XID, cursor.ID}
		switch {
		case f.event == "chaos":
			rd.mu.Lock()
			rd.seen = append(rd.seen, at)
			rd.mu.Unlock()
		case f.event == "chaos.yesterday":
			// the server had not come to the log's end when this began
		case f.event == "cursor":
			// after a long quiet
		case f.event != "":
			rd.oddity(fmt.Sprintf("event %s at %v, resumed from %s", f.event, at, last))
		}
		last = f.id
		if rd.slow && rd.rng.IntN(2000) == 0 {
			<-time.After(between(rd.rng, 200, 1500))
		}
	}
}

// took reports whether the reader has had an event of today.
func (rd *reader) took() bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return len(rd.seen) > 0
}

func (rd *reader) oddity(what string) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	rd.odd = append(rd.odd, what)
}

// judge waits until the reader has come to the log's end, and holds what it saw against the log.
func (rd *reader) judge(logged []place) (missed, repeated, disordered int) {
	t := rd.torrent.t
	var due []place
	for _, p := range logged {
		if rd.since.before(p) {
			due = append(due, p)
		}
	}
	progress, before := time.Now(), -1
	for {
		rd.mu.Lock()
		n := len(rd.seen)
		end := n > 0 && rd.seen[n-1] == due[len(due)-1]
		rd.mu.Unlock()
		if end || time.Since(progress) > 30*time.Second {
			break
		}
		if n != before {
			progress, before = time.Now(), n
		}
		<-time.After(20 * time.Millisecond)
	}
	rd.mu.Lock()
	defer rd.mu.Unlock()
	for _, what := range rd.odd {
		t.Errorf("reader of %s: %s", rd.tenant.Name, what)
	}
	count := map[place]int{}
	for i, p := range rd.seen {
		count[p]++
		if i > 0 && !rd.seen[i-1].before(p) {
			disordered++
			t.Logf("out of order: %s", rd.torrent.describe(rd.seen, i))
		}
	}
	for i, p := range due {
		if count[p] == 0 {
			if missed++; missed < 5 {
				t.Logf("missed: %v, between %s", p, rd.torrent.describe(due, i))
			}
		}
		repeated += max(0, count[p]-1)
		delete(count, p)
	}
	for p := range count {
		t.Errorf("reader of %s saw %v, which the log does not hold", rd.tenant.Name, p)
	}
	return missed, repeated, disordered
}

// stream is an open text/event-stream.
type stream struct {
	body   io.ReadCloser
	in     *bufio.Reader
	begins string // the cursor it begins at, when none was sent
}

func openStream(ctx context.Context, client *http.Client, url, key, last string) (*stream, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events/stream", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return &stream{resp.Body, bufio.NewReader(resp.Body), resp.Header.Get("Last-Event-ID")}, nil
}

func (s *stream) close() { _ = s.body.Close() }

// frame is an event: what ends with an empty line.
type frame struct {
	id, event string
	err       error
}

// next reads a frame that has an id. One that the stream's end cuts short is none.
func (s *stream) next() (f frame) {
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return frame{err: err}
		}
		text := strings.TrimRight(string(line), "\n")
		name, value, _ := strings.Cut(text, ": ")
		switch {
		case name == "id":
			f.id = value
		case name == "event":
			f.event = value
		case text == "" && f.id != "":
			return f
		}
	}
}
