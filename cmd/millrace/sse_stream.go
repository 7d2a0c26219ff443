package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// eventStream follows a stream of events and reconnects where it broke off.
type eventStream struct {
	client *client
	path   string        // with its query
	idle   time.Duration // without a byte for so long, the connection counts as dead
	first  time.Duration // wait before the first reconnect, until the server names one
	most   time.Duration // longest wait

	lastID string
	retry  time.Duration
}

// newEventStream follows the events of the client's workspace on the given topics.
func newEventStream(c *client, topics string) *eventStream {
	return &eventStream{
		client: c, path: "/events/stream?topics=" + topics,
		idle: 45 * time.Second, first: 500 * time.Millisecond, most: 15 * time.Second,
	}
}

// eventReset is the event by which the server says that events were missed for good.
const eventReset = "reset"

// errStop ends a run from inside a callback.
var errStop = errors.New("stop")

// Run calls opened each time a connection stands or the server has reset the stream, for the
// caller to read the state anew, and then handle with each event in order. It returns nil once
// either returns errStop, their error if it is another, ctx's error, or the answer of a server
// that will not have us.
func (s *eventStream) Run(ctx context.Context, opened func(context.Context) error, handle func(sseEvent) error) error {
	for failures := 0; ; failures++ {
		alive, err := s.connect(ctx, opened, handle)
		if errors.Is(err, errStop) {
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

// finalError is an error after which reconnecting is no use.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// wait is the time before the next attempt: doubled for each failure, then spread over its second
// half, so that the clients of a server that restarts do not return at once.
func (s *eventStream) wait(failures int) time.Duration {
	base := s.first
	if s.retry > 0 {
		base = s.retry
	}
	base = min(base<<min(failures, 10), s.most)
	return base/2 + rand.N(base/2+1)
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// connect follows one connection to its end. alive is whether the server answered.
func (s *eventStream) connect(ctx context.Context, opened func(context.Context) error, handle func(sseEvent) error) (alive bool, err error) {
	connection, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(s.idle, cancel)
	defer watchdog.Stop()

	req, err := s.client.request(connection, http.MethodGet, s.path, nil)
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
		err := readProblem(resp)
		if retriable(resp) {
			return false, err
		}
		return false, &finalError{err}
	}
	if err := opened(ctx); err != nil {
		return true, callbackError(err)
	}
	in := newSSEReader(resp.Body)
	in.LastID = s.lastID
	for {
		e, err := in.Next(func() { watchdog.Reset(s.idle) })
		s.retry = max(s.retry, in.Retry)
		if err != nil {
			return true, err
		}
		if e.Type == eventReset {
			err = opened(ctx)
		} else {
			err = handle(e)
		}
		if err != nil {
			return true, callbackError(err)
		}
		s.lastID = e.ID
	}
}

// callbackError keeps the caller's own error from being retried, unless reading the state only
// failed because the server is away.
func callbackError(err error) error {
	var away *awayError
	if errors.Is(err, errStop) || errors.As(err, &away) {
		return err
	}
	return &finalError{err}
}
