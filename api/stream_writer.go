package api

import (
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

// eventFrame encodes an event as one message of a stream. It is shared by all who get the event.
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
	out     *echo.Response
	control *http.ResponseController
	within  time.Duration // bounds one write: a client that takes nothing for so long is gone
}

func newEventWriter(c echo.Context, within time.Duration) *eventWriter {
	return &eventWriter{out: c.Response(), control: http.NewResponseController(c.Response().Writer), within: within}
}

// begin sends the headers and the wait before a reconnect. A client that begins now also learns
// the place it begins at, so that it can resume even if it is cut off before its first event.
func (w *eventWriter) begin(now *eventlog.Cursor) error {
	h := w.out.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.out.WriteHeader(http.StatusOK)
	frame := fmt.Appendf(nil, "retry: %d\n", spread(time.Second, 3*time.Second).Milliseconds())
	if now != nil {
		frame = fmt.Appendf(frame, "id: %s\n", now)
	}
	return w.writeOut(append(frame, '\n'))
}

// events sends what was taken from a subscription, in as few packets as it fits.
func (w *eventWriter) events(messages []*events.Message) error {
	for _, m := range messages {
		frame, err := m.Encoded(eventFrame)
		if err != nil {
			return err
		}
		if err := w.write(frame); err != nil {
			return err
		}
	}
	if len(messages) == 0 {
		return nil
	}
	return w.control.Flush()
}

// reset reports to the client that it has missed events for good: it must read the state again.
func (w *eventWriter) reset(now eventlog.Cursor) error {
	return w.writeOut(fmt.Appendf(nil, "id: %s\nevent: reset\ndata: {\"type\":\"reset\",\"cursor\":%[1]q}\n\n", now))
}

// heartbeat keeps the connection from looking dead, and gives the client the place that it has
// everything up to, so that after a long quiet it need not resume from far back.
func (w *eventWriter) heartbeat(at eventlog.Cursor) error {
	return w.writeOut(fmt.Appendf(nil, ":\nid: %s\n\n", at))
}

// goodbye ends a stream that the client should resume, each client after a wait of its own.
func (w *eventWriter) goodbye(why string) error {
	wait := spread(time.Second, 5*time.Second)
	return w.writeOut(fmt.Appendf(nil, "retry: %d\n: %s\n\n", wait.Milliseconds(), why))
}

// end gives the connection back without the last write's deadline, for the next request on it.
func (w *eventWriter) end() { _ = w.control.SetWriteDeadline(time.Time{}) }

func (w *eventWriter) writeOut(frame []byte) error {
	if err := w.write(frame); err != nil {
		return err
	}
	return w.control.Flush()
}

func (w *eventWriter) write(frame []byte) error {
	if err := w.control.SetWriteDeadline(time.Now().Add(w.within)); err != nil {
		return err
	}
	_, err := w.out.Write(frame)
	return err
}

// spread is a random wait, so that many clients do not return at once.
func spread(from, to time.Duration) time.Duration { return from + rand.N(to-from) }
