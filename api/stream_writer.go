package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/events"
	"millrace/store/eventlog"
)

func viewEvent(e eventlog.Event) types.Event {
	view := types.Event{
		Cursor: e.Cursor.String(), Topic: e.Topic, Type: e.Type, EntityID: e.EntityID, At: e.At.UTC(), Payload: e.Payload,
	}
	if e.Workspace.Valid {
		id := e.Workspace.UUID.String()
		view.WorkspaceID = &id
	}
	return view
}

// eventChunk encodes an event as one message of a stream, in a chunk of its own. It is shared by all who get the event.
func eventChunk(e eventlog.Event) ([]byte, error) {
	frame, err := eventFrame(e)
	if err != nil {
		return nil, err
	}
	return append(append(chunkHead(len(frame)), frame...), '\r', '\n'), nil
}

// frameOf is the message in a chunk.
func frameOf(chunk []byte) []byte {
	return chunk[bytes.IndexByte(chunk, '\n')+1 : len(chunk)-2]
}

// eventFrame encodes an event as one message of a stream.
func eventFrame(e eventlog.Event) ([]byte, error) {
	data, err := json.Marshal(viewEvent(e))
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", e.Cursor, e.Type, data), nil
}

// eventWriter writes the text/event-stream format (WHATWG HTML, server-sent events). It is for one
// goroutine.
type eventWriter struct {
	out    streamBody
	within time.Duration // bounds one write: a client that takes nothing for so long is gone
	quiet  int           // heartbeats since the client was sent an id
	placed bool          // it was sent one
}

// streamBody is where the body of a stream goes.
type streamBody interface {
	put(frame []byte) error // which must not change until flush
	flush() error
	endBy(at time.Time) // where no cut will come
	cut()               // from any goroutine: the client has a moment for what is still written
	end() error
}

func newEventWriter(c echo.Context, within time.Duration) *eventWriter {
	control := http.NewResponseController(c.Response().Writer)
	out := &response{out: c.Response(), control: control, deadline: deadline{set: control.SetWriteDeadline, within: within}}
	return &eventWriter{out: out, within: within}
}

// response is the body of a request's own response.
type response struct {
	deadline

	out     *echo.Response
	control *http.ResponseController
}

func (o *response) put(frame []byte) error {
	if err := o.next(); err != nil {
		return err
	}
	_, err := o.out.Write(frame)
	return err
}

func (o *response) flush() error { return o.control.Flush() }

// end gives the connection back without the last write's deadline, for the next request on it.
func (o *response) end() error { return o.control.SetWriteDeadline(time.Time{}) }

// lastEventHeader is the header by which a client says where it was, and by which it learns where a stream
// begins, so that it can resume even if it is cut off before its first event.
const lastEventHeader = "Last-Event-ID"

// begin sends the headers and the wait before a reconnect. No empty line follows the wait: some clients
// take each for an event, and one without data for a broken one.
func (w *eventWriter) begin(h http.Header, now *eventlog.Cursor) error {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	if now != nil {
		h.Set(lastEventHeader, now.String())
	}
	return w.writeOut(fmt.Appendf(nil, "retry: %d\n", spread(time.Second, 3*time.Second).Milliseconds()))
}

// events sends what was taken from a subscription, in as few packets as it fits.
func (w *eventWriter) events(messages []*events.Message) error {
	for _, m := range messages {
		chunk, err := m.Encoded(eventChunk)
		if err != nil {
			return err
		}
		if err := w.out.put(frameOf(chunk)); err != nil {
			return err
		}
	}
	if len(messages) > 0 {
		w.quiet, w.placed = 0, true
	}
	return w.out.flush() // also what the dispatcher has left
}

// What the stream itself reports, beside the events of the log.
const (
	controlReset  = "reset"  // events were missed for good: the state must be read again
	controlCursor = "cursor" // the client has everything up to here
	controlEnd    = "end"    // nothing more will come
)

// report sends what the stream itself reports, under an id that a client resumes with.
func (w *eventWriter) report(kind string, at eventlog.Cursor, id string) error {
	w.quiet, w.placed = 0, true
	return w.writeOut(fmt.Appendf(nil, "id: %s\nevent: %s\ndata: {\"type\":%[2]q,\"cursor\":%[3]q}\n\n", id, kind, at.String()))
}

// reset reports to the client that it has missed events for good: it must read the state again.
func (w *eventWriter) reset(now eventlog.Cursor) error {
	return w.report(controlReset, now, now.String())
}

// endSuffix marks the id of the end of an entity's stream: a browser that comes back with it is sent away.
const endSuffix = ".end"

// finish ends the stream of an entity that has ended.
func (w *eventWriter) finish(at eventlog.Cursor) error {
	return w.report(controlEnd, at, at.String()+endSuffix)
}

// quietBeats is after how many heartbeats without an id a client is sent one, so that it need not resume
// from far back: ten minutes of those that come every 15 s.
const quietBeats = 40

// heartbeat keeps the connection from looking dead: a comment, without an empty line. A client without an
// id, or with an old one, is sent the place that it has everything up to instead.
func (w *eventWriter) heartbeat(at eventlog.Cursor) error {
	if w.quiet++; !w.placed || w.quiet >= quietBeats {
		return w.report(controlCursor, at, at.String())
	}
	return w.writeOut([]byte(":\n"))
}

// goodbye ends a stream that the client should resume, each client after a wait of its own.
func (w *eventWriter) goodbye(why string) error {
	wait := spread(time.Second, 5*time.Second)
	return w.writeOut(fmt.Appendf(nil, "retry: %d\n: %s\n", wait.Milliseconds(), why))
}

func (w *eventWriter) writeOut(frame []byte) error {
	if err := w.out.put(frame); err != nil {
		return err
	}
	return w.out.flush()
}

// spread is a random wait, so that many clients do not return at once.
func spread(from, to time.Duration) time.Duration { return from + rand.N(to-from) }
