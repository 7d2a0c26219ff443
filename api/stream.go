package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/events"
	"millrace/jobs/backtest"
	"millrace/store"
)

// writeWithin bounds one write to a stream: a client that takes nothing for so long is gone.
const writeWithin = 10 * time.Second

// replayBatch is how many events are read at once while a client catches up.
const replayBatch = 500

// eventView is an event as streams and lists show it.
type eventView struct {
	Cursor      string          `json:"cursor"`
	Topic       string          `json:"topic"`
	Type        string          `json:"type"`
	WorkspaceID *string         `json:"workspace_id"`
	EntityID    string          `json:"entity_id"`
	At          time.Time       `json:"at"`
	Payload     json.RawMessage `json:"payload"`
}

func viewEvent(e store.Event) eventView {
	view := eventView{
		Cursor: e.Cursor.String(), Topic: e.Topic, Type: e.Type, EntityID: e.EntityID, At: e.At.UTC(), Payload: e.Payload,
	}
	if e.Workspace.Valid {
		id := e.Workspace.UUID.String()
		view.WorkspaceID = &id
	}
	return view
}

// streamEvents handles GET /events/stream: the key's workspace, live.
func (s *Server) streamEvents(c echo.Context) error {
	scope, err := eventScope(c)
	if err != nil {
		return err
	}
	scope.Workspace = uuid.NullUUID{UUID: workspaceOf(c), Valid: true}
	return s.stream(c, scope)
}

// streamAllEvents handles GET /admin/events/stream: the fleet, or the workspace that is named.
func (s *Server) streamAllEvents(c echo.Context) error {
	scope, err := eventScope(c)
	if err != nil {
		return err
	}
	if named := c.QueryParam("workspace_id"); named != "" {
		id, err := uuid.Parse(named)
		if err != nil {
			return problem(http.StatusBadRequest, "The query is not valid.",
				backtest.FieldError{Field: "workspace_id", Message: "is not a UUID"})
		}
		scope.Workspace = uuid.NullUUID{UUID: id, Valid: true}
	}
	return s.stream(c, scope)
}

// eventScope reads the topics of the query.
func eventScope(c echo.Context) (store.EventScope, error) {
	var scope store.EventScope
	text := c.QueryParam("topics")
	if text == "" {
		return scope, nil
	}
	for topic := range strings.SplitSeq(text, ",") {
		if !slices.Contains(store.Topics(), topic) {
			return scope, problem(http.StatusBadRequest, "The query is not valid.",
				backtest.FieldError{Field: "topics", Message: fmt.Sprintf("%q is not a topic", topic), Limit: store.Topics()})
		}
		scope.Topics = append(scope.Topics, topic)
	}
	return scope, nil
}

// resumeFrom reads where the client was; nil when it begins now.
func resumeFrom(c echo.Context) (*store.Cursor, error) {
	field, text := "Last-Event-ID", c.Request().Header.Get("Last-Event-ID")
	if text == "" {
		field, text = "cursor", c.QueryParam("cursor")
	}
	if text == "" {
		return nil, nil
	}
	cursor, err := store.ParseCursor(text)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "The place to resume from is not valid.",
			backtest.FieldError{Field: field, Message: err.Error()})
	}
	return &cursor, nil
}

// stream subscribes first and replays then: what happens meanwhile waits in the queue, so nothing
// is missed between the two, and the queue begins where the replay ends, so nothing comes twice.
func (s *Server) stream(c echo.Context, scope store.EventScope) error {
	after, err := resumeFrom(c)
	if err != nil {
		return err
	}
	bounds, err := s.store.EventBounds(c.Request().Context())
	if err != nil {
		return err
	}
	sub := s.opts.Hub.Subscribe(scope)
	defer sub.Close()
	w := newEventWriter(c)
	if err := w.begin(); err != nil {
		return nil // the client is gone; there is nobody to tell
	}
	if after != nil && !bounds.Covers(*after) {
		if err := w.reset(sub.From()); err != nil {
			return nil
		}
		after = nil
	}
	if after != nil {
		if err := s.replay(c, w, scope, *after, sub.From()); err != nil {
			return nil
		}
	}
	s.follow(c, w, sub)
	return nil
}

// replay writes the events after one place up to another from the log.
func (s *Server) replay(c echo.Context, w *eventWriter, scope store.EventScope, after, upTo store.Cursor) error {
	for after.Before(upTo) {
		events, err := s.store.Events(c.Request().Context(), scope, after, upTo, replayBatch)
		if err != nil {
			s.opts.Logger.WarnContext(c.Request().Context(), "replay failed", "request_id", requestID(c), "error", err)
			return err
		}
		for _, e := range events {
			if err := w.event(e); err != nil {
				return err
			}
			after = e.Cursor
		}
		if err := w.flush(); err != nil {
			return err
		}
		if len(events) < replayBatch {
			return nil
		}
	}
	return nil
}

// follow writes live events until the client, the subscription or the server ends.
func (s *Server) follow(c echo.Context, w *eventWriter, sub *events.Subscription) {
	heartbeat := time.NewTicker(s.opts.Heartbeat)
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case <-c.Request().Context().Done():
			return
		case <-s.ending:
			_ = w.comment("the server is stopping") // the client reconnects by itself
			return
		case <-heartbeat.C:
			err = w.comment("")
		case e, open := <-sub.Events():
			if !open {
				_ = w.comment("too slow, or the feed ended: resume from the last id")
				return
			}
			err = w.event(e)
			for n := len(sub.Events()); err == nil && n > 0; n-- {
				if e, open = <-sub.Events(); !open {
					break
				}
				err = w.event(e)
			}
			err = errors.Join(err, w.flush())
		}
		if err != nil {
			return
		}
	}
}

// eventWriter writes the text/event-stream format (WHATWG HTML, server-sent events).
type eventWriter struct {
	out     *echo.Response
	control *http.ResponseController
}

func newEventWriter(c echo.Context) *eventWriter {
	return &eventWriter{out: c.Response(), control: http.NewResponseController(c.Response().Writer)}
}

func (w *eventWriter) begin() error {
	h := w.out.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.out.WriteHeader(http.StatusOK)
	// Spread, so that the clients of a server that restarts do not all return at once.
	retry := 1000 + rand.IntN(2000)
	return w.write([]byte(fmt.Sprintf("retry: %d\n\n", retry)), true)
}

func (w *eventWriter) event(e store.Event) error {
	data, err := json.Marshal(viewEvent(e))
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return w.write([]byte(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.Cursor, e.Type, data)), false)
}

// reset tells the client that it has missed events for good: it must read the state anew.
func (w *eventWriter) reset(now store.Cursor) error {
	return w.write([]byte(fmt.Sprintf("id: %s\nevent: reset\ndata: {\"cursor\":%[1]q}\n\n", now)), true)
}

func (w *eventWriter) comment(text string) error {
	return w.write([]byte(": "+text+"\n\n"), true)
}

func (w *eventWriter) write(frame []byte, flush bool) error {
	if err := w.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := w.out.Write(frame); err != nil {
		return err
	}
	if flush {
		return w.flush()
	}
	return nil
}

func (w *eventWriter) flush() error { return w.control.Flush() }

// listEvents handles GET /events: the log by cursor, for clients without a stream.
func (s *Server) listEvents(c echo.Context) error {
	scope, err := eventScope(c)
	if err != nil {
		return err
	}
	scope.Workspace = uuid.NullUUID{UUID: workspaceOf(c), Valid: true}
	limit, err := queryInt(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	bounds, err := s.store.EventBounds(c.Request().Context())
	if err != nil {
		return err
	}
	after := bounds.Floor
	if text := c.QueryParam("after"); text != "" {
		if after, err = store.ParseCursor(text); err != nil {
			return problem(http.StatusBadRequest, "The query is not valid.", backtest.FieldError{Field: "after", Message: err.Error()})
		}
		if !bounds.Covers(after) {
			return problem(http.StatusGone, "Events after this cursor are no longer kept: begin without one.",
				backtest.FieldError{Field: "after", Message: "is older than the log, or of another one"})
		}
	}
	found, err := s.store.Events(c.Request().Context(), scope, after, store.Cursor{}, limit)
	if err != nil {
		return err
	}
	page := struct {
		Items      []eventView `json:"items"`
		NextCursor string      `json:"next_cursor"` // always there: ask again with it for what comes
	}{Items: []eventView{}, NextCursor: after.String()}
	for _, e := range found {
		page.Items = append(page.Items, viewEvent(e))
		page.NextCursor = e.Cursor.String()
	}
	return ok(c, page)
}
