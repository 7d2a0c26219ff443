package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"millrace/api/types"
)

// Stream follows the events of the client's workspace, and resumes where its connection broke off.
type Stream struct {
	client *Client
	query  url.Values
	idle   time.Duration // without a byte for so long, the connection counts as dead
	first  time.Duration // wait before the first reconnect, until the server names one
	most   time.Duration // longest wait

	lastID string
	retry  time.Duration
}

// Events makes a stream of the given topics, such as "backtests"; none are all of them.
func (c *Client) Events(topics ...string) *Stream {
	query := url.Values{}
	if len(topics) > 0 {
		query.Set("topics", strings.Join(topics, ","))
	}
	return &Stream{client: c, query: query, idle: 45 * time.Second, first: 500 * time.Millisecond, most: 15 * time.Second}
}

// After has the stream begin behind an event, named by its cursor, instead of now.
func (s *Stream) After(cursor string) *Stream {
	s.lastID = cursor
	return s
}

// Cursor is that of the last event handled, for After of another stream.
func (s *Stream) Cursor() string { return s.lastID }

// ErrStop ends a stream's Run from inside a callback.
var ErrStop = errors.New("stop following")

// The events by which the server reports on the stream itself.
const (
	eventReset  = "reset"  // events were missed for good
	eventCursor = "cursor" // everything up to here was sent
)

// Run calls opened each time a connection stands or the server has reset the stream, for the caller
// to read the state again, and then handle with each event in order. It returns nil once either
// returns ErrStop, their error if it is another, ctx's error, or an *Error when the server refuses
// the stream. It may be called once.
func (s *Stream) Run(ctx context.Context, opened func(context.Context) error, handle func(types.Event) error) error {
	for failures := 0; ; failures++ {
		alive, err := s.connect(ctx, opened, handle)
		if errors.Is(err, ErrStop) {
			return nil
		}
		var final *finalError
		if errors.As(err, &final) {
			return final.error
		}
		if alive {
			failures = 0
		}
		if err := pause(ctx, s.wait(failures)); err != nil {
			return err
		}
	}
}

// finalError is an error that reconnecting cannot mend.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

func (s *Stream) wait(failures int) time.Duration {
	first := s.first
	if s.retry > 0 {
		first = s.retry
	}
	return backoff(first, s.most, failures)
}

// connect follows one connection to its end. alive is whether the server answered.
func (s *Stream) connect(ctx context.Context, opened func(context.Context) error, handle func(types.Event) error) (alive bool, err error) {
	connection, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(s.idle, cancel)
	defer watchdog.Stop()

	req, err := s.client.request(connection, http.MethodGet, "/events/stream", s.query, nil)
	if err != nil {
		return false, &finalError{err}
	}
	req.Header.Set("Accept", "text/event-stream")
	if s.lastID != "" {
		req.Header.Set("Last-Event-ID", s.lastID)
	}
	resp, err := s.client.stream.Do(req)
	if err != nil {
		return false, fmt.Errorf("open the event stream: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		refused := readError(resp)
		if refused.temporary {
			return false, refused
		}
		return false, &finalError{refused}
	}
	if err := opened(ctx); err != nil {
		return true, callbackError(err)
	}
	in := NewSSEReader(resp.Body)
	if s.lastID == "" {
		s.lastID = resp.Header.Get("Last-Event-ID") // where the server began
	}
	in.LastID = s.lastID
	for {
		e, err := in.Next(func() { watchdog.Reset(s.idle) })
		s.retry = max(s.retry, in.Retry)
		if err != nil {
			return true, err
		}
		switch e.Type {
		case eventReset:
			err = opened(ctx)
		case eventCursor:
		default:
			err = handleEvent(e, handle)
		}
		if err != nil {
			return true, callbackError(err)
		}
		s.lastID = e.ID
	}
}

func handleEvent(e SSEEvent, handle func(types.Event) error) error {
	var event types.Event
	if err := json.Unmarshal(e.Data, &event); err != nil {
		return fmt.Errorf("read event %s: %w", e.ID, err)
	}
	return handle(event)
}

// callbackError keeps the caller's own error from being retried, unless reading the state only
// failed because the server is away.
func callbackError(err error) error {
	if errors.Is(err, ErrStop) || Temporary(err) {
		return err
	}
	return &finalError{err}
}
