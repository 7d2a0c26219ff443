package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// statusClientGone is for requests whose caller hung up before the answer: nobody reads it, and it is
// nobody's error. It is nginx's number, which no standard has.
const statusClientGone = 499

// clientGone reports whether the request ended because its caller hung up.
func clientGone(c echo.Context) bool {
	return errors.Is(c.Request().Context().Err(), context.Canceled)
}

// timedBody is a request's body whose bytes have to keep coming: a caller that sends headers and then
// nothing would hold its connection for as long as it likes.
type timedBody struct {
	body    io.ReadCloser
	control *http.ResponseController
	idle    time.Duration // most between two parts
	until   time.Time     // the end of the whole body
}

// timed sets the deadline of a body and returns it. most is how many bytes it may have: 10 MB have a minute.
func (s *Server) timed(c echo.Context, most int64) io.ReadCloser {
	body := c.Request().Body
	if body == nil || body == http.NoBody || c.Request().ContentLength == 0 {
		return body
	}
	b := &timedBody{
		body: body, control: http.NewResponseController(c.Response()), idle: s.opts.BodyIdle,
		until: time.Now().Add(max(time.Minute, time.Duration(most/(10<<20))*time.Minute)),
	}
	b.extend()
	return b
}

// extend moves the deadline. A request from within the process has no connection to set it on.
func (b *timedBody) extend() {
	deadline := time.Now().Add(b.idle)
	if deadline.After(b.until) {
		deadline = b.until
	}
	_ = b.control.SetReadDeadline(deadline)
}

// Read implements io.Reader. Its errors are answers, but for io.EOF.
func (b *timedBody) Read(into []byte) (int, error) {
	b.extend()
	n, err := b.body.Read(into)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, problem(http.StatusRequestTimeout, "The body did not come: send it without pauses.")
	}
	// The server watches the connection for its end from here on, without a deadline.
	_ = b.control.SetReadDeadline(time.Time{})
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, problem(statusClientGone, "The connection ended within the body.")
}

// Close implements io.Closer.
func (b *timedBody) Close() error { return b.body.Close() }
