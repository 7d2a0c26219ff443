package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/events"
	"millrace/jobs/invalid"
	"millrace/store/eventlog"
)

// streamEvents handles GET /events/stream: the key's workspace, live.
func (s *Server) streamEvents(c echo.Context) error {
	scope, err := ownScope(c)
	if err != nil {
		return err
	}
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
				invalid.FieldError{Field: "workspace_id", Message: "is not a UUID"})
		}
		scope.Workspace = uuid.NullUUID{UUID: id, Valid: true}
	}
	if passed, _ := c.Get(passKey).(pass); passed.ticket != nil {
		if scope.Workspace.Valid && scope.Workspace.UUID != passed.ticket.Workspace {
			return problem(http.StatusBadRequest, "The ticket is for another workspace.",
				invalid.FieldError{Field: "workspace_id", Message: "does not agree with the ticket"})
		}
		scope.Workspace = uuid.NullUUID{UUID: passed.ticket.Workspace, Valid: true}
	}
	return s.stream(c, scope)
}

// ownScope reads the topics of the query, of the key's workspace.
func ownScope(c echo.Context) (eventlog.Scope, error) {
	scope, err := eventScope(c)
	scope.Workspace = uuid.NullUUID{UUID: workspaceOf(c), Valid: true}
	return scope, err
}

// eventScope reads the topics of the query.
func eventScope(c echo.Context) (eventlog.Scope, error) {
	var scope eventlog.Scope
	text := c.QueryParam("topics")
	if text == "" {
		return scope, nil
	}
	known := eventlog.Topics()
	for topic := range strings.SplitSeq(text, ",") {
		if !slices.Contains(known, topic) {
			return scope, problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
				Field:   "topics",
				Message: fmt.Sprintf("%q is not a topic; choose from %s", topic, strings.Join(known, ", ")),
				Limit:   known,
			})
		}
		if !slices.Contains(scope.Topics, topic) {
			scope.Topics = append(scope.Topics, topic)
		}
	}
	return scope, nil
}

// resumeFrom reads where the client was; nil when it begins now.
func resumeFrom(c echo.Context) (*eventlog.Cursor, error) {
	field, text := "Last-Event-ID", c.Request().Header.Get("Last-Event-ID")
	if text == "" {
		field, text = "cursor", c.QueryParam("cursor")
	}
	if text == "" {
		return nil, nil
	}
	cursor, err := eventlog.ParseCursor(text)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "The place to resume from is not valid.",
			invalid.FieldError{Field: field, Message: err.Error()})
	}
	return &cursor, nil
}

// stream answers with the events of a scope, live, after those since the client's cursor.
func (s *Server) stream(c echo.Context, scope eventlog.Scope) error {
	w := newEventWriter(c, s.opts.StreamWrite)
	sub, err := s.beginStream(c, w, scope)
	if sub == nil {
		return err
	}
	defer sub.Close()
	defer w.end()
	if err == nil {
		s.follow(c, w, sub)
	}
	return nil // the status is sent; a client that is gone needs no answer
}

// beginStream subscribes and sends what comes first. Without a subscription nothing is sent, and the
// error is the answer; with one the error is that of writing.
func (s *Server) beginStream(c echo.Context, w *eventWriter, scope eventlog.Scope) (*events.Subscription, error) {
	after, err := resumeFrom(c)
	if err != nil {
		return nil, err
	}
	sub := s.opts.Hub.Subscribe(scope, after)
	// The first page is taken before the status is sent: a database that is away is a problem then.
	first, err := sub.Take(c.Request().Context())
	gone := errors.Is(err, eventlog.ErrCursorGone)
	var fresh eventlog.Cursor
	if gone {
		sub = s.opts.Hub.Subscribe(scope, nil)
		fresh, err = s.resumable(c.Request().Context(), sub.Last())
	}
	if err != nil {
		sub.Close()
		return nil, feedProblem(err)
	}
	switch {
	case gone:
		err = w.begin(nil)
		err = errors.Join(err, w.reset(fresh))
	case after == nil:
		now := sub.Last()
		err = w.begin(&now)
	default:
		err = w.begin(nil)
		err = errors.Join(err, w.events(first))
	}
	return sub, err
}

// resumable is a place of the hub or, when the log has just been pruned beyond it, the log's floor.
func (s *Server) resumable(ctx context.Context, at eventlog.Cursor) (eventlog.Cursor, error) {
	bounds, err := s.store.EventLog.Bounds(ctx)
	if err == nil && !bounds.Covers(at) {
		return bounds.Floor, nil
	}
	return at, err
}

// follow writes events until the client, the subscription or the server ends.
func (s *Server) follow(c echo.Context, w *eventWriter, sub *events.Subscription) {
	heartbeat := time.NewTicker(s.opts.Heartbeat)
	defer heartbeat.Stop()
	passed, _ := c.Get(passKey).(pass)
	expired, stop := passed.expired()
	defer stop()
	ctx := c.Request().Context()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.ending:
			_ = w.goodbye("the server is stopping")
			return
		case <-expired:
			_ = w.goodbye("the session or ticket has expired")
			return
		case <-heartbeat.C:
			if passed.over(ctx) {
				_ = w.goodbye("the session or ticket has ended")
				return
			}
			err = w.heartbeat(sub.Advance())
		case <-sub.Ready():
			err = s.deliver(c, w, sub)
		}
		if err != nil {
			return
		}
	}
}

// deliver writes what is there for a subscription.
func (s *Server) deliver(c echo.Context, w *eventWriter, sub *events.Subscription) error {
	ctx := c.Request().Context()
	messages, err := sub.Take(ctx)
	if err == nil {
		return w.events(messages)
	}
	if ctx.Err() == nil {
		s.opts.Logger.DebugContext(ctx, "event stream ended", "request_id", requestID(c), "error", err)
		_ = w.goodbye("resume from the last id")
	}
	return err
}

// feedProblem is the answer to a subscription that could not begin.
func feedProblem(err error) error {
	if !errors.Is(err, events.ErrClosed) && !errors.Is(err, events.ErrReset) && !errors.Is(err, events.ErrSlow) {
		return err
	}
	return retryProblem(http.StatusServiceUnavailable, "The event feed is stopping or restarting.", 1)
}

// listEvents handles GET /events: the log by cursor, for clients without a stream.
func (s *Server) listEvents(c echo.Context) error {
	scope, err := ownScope(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	bounds, err := s.store.EventLog.Bounds(c.Request().Context())
	if err != nil {
		return err
	}
	after := bounds.Floor
	if text := c.QueryParam("after"); text != "" {
		if after, err = eventlog.ParseCursor(text); err != nil {
			return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: "after", Message: err.Error()})
		}
	}
	found, err := s.store.EventLog.Events(c.Request().Context(), scope, after, limit)
	if errors.Is(err, eventlog.ErrCursorGone) {
		return problem(http.StatusGone, "Events after this cursor are no longer kept: begin without one.",
			invalid.FieldError{Field: "after", Message: eventlog.ErrCursorGone.Error()})
	}
	if err != nil {
		return err
	}
	page := types.EventPage{Items: []types.Event{}, NextCursor: after.String()}
	for _, e := range found {
		page.Items = append(page.Items, viewEvent(e))
		page.NextCursor = e.Cursor.String()
	}
	return ok(c, page)
}
