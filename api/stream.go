package api

import (
	"cmp"
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
	"millrace/store/tenants"
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
	own := workspaceOf(c) // of a person's session
	if passed, _ := c.Get(passKey).(pass); passed.ticket != nil {
		own = passed.ticket.Workspace
	}
	if own != uuid.Nil {
		if scope.Workspace.Valid && scope.Workspace.UUID != own {
			return problem(http.StatusBadRequest, "The ticket is for another workspace.",
				invalid.FieldError{Field: "workspace_id", Message: "does not agree with the ticket"})
		}
		scope.Workspace = uuid.NullUUID{UUID: own, Valid: true}
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

// resumeFrom reads where the client was; nil when it begins now. A place that is not of this server is
// unknown: a stream begins with a reset then, as a browser's EventSource gives a refused one up for good.
func resumeFrom(c echo.Context) (after *eventlog.Cursor, unknown bool) {
	text := cmp.Or(c.Request().Header.Get(lastEventHeader), c.QueryParam("cursor"))
	if text == "" {
		return nil, false
	}
	cursor, err := eventlog.ParseCursor(strings.TrimSuffix(text, endSuffix))
	if err != nil {
		return nil, true
	}
	return &cursor, false
}

// stream answers with the events of a scope, live, after those since the client's cursor.
func (s *Server) stream(c echo.Context, scope eventlog.Scope) error {
	open, err := s.open(c, scope)
	if err != nil {
		return err
	}
	s.run(c, followingOf(c, open, nil), func(w *eventWriter) error { return w.events(open.first) })
	return nil // the status is sent; a client that is gone needs no answer
}

// run sends the beginning of a stream and follows to its end, on the goroutine of the request or beyond it.
func (s *Server) run(c echo.Context, f *following, first func(*eventWriter) error) {
	w, detached := newEventWriter(c, s.opts.StreamWrite), false
	ctx := c.Request().Context()
	f.moveTo(newRequestWaiting(ctx), w.out.cut)
	leave := s.join(f)
	defer func() {
		if !detached {
			leave()
			_ = w.out.end()
		}
	}()
	if f.open.begin(c, w) != nil || first(w) != nil {
		return
	}
	if detached = s.detach(c, w, f, leave); !detached {
		s.follow(ctx, w, f)
	}
}

// join has a stream end when the server does, or what opened it, from before anything is sent. The caller calls leave
// at its end.
func (s *Server) join(f *following) (leave func()) {
	ended := [...]func(){
		s.streams.join(f),
		s.passes.watch(f.open.ofSpace(), func() { f.revoke(spaceDeleted) }),
		s.passes.watch(f.passed.holds, func() { f.revoke(passOver) }),
	}
	if f.passed.byValue() && s.admins.taken() != f.taken {
		f.revoke(valueTaken) // after it was admitted
	}
	return func() {
		for _, end := range ended {
			end()
		}
		f.open.sub.Close()
	}
}

// opening is a stream that is about to begin: nothing is sent yet.
type opening struct {
	sub   *events.Subscription
	first []*events.Message // what has come since the client's place
	place *eventlog.Cursor  // where the client begins when it does not resume
	reset bool              // it named a place from which nothing can be resumed
	space uuid.NullUUID     // whose events they are; not valid: everybody's
}

// open subscribes, and takes the first page before the status is sent: a database that is away is a
// problem then.
func (s *Server) open(c echo.Context, scope eventlog.Scope) (*opening, error) {
	ctx := c.Request().Context()
	after, unknown := resumeFrom(c)
	o := &opening{sub: s.opts.Hub.Subscribe(scope, after), reset: unknown, space: scope.Workspace}
	first, err := o.sub.Take(ctx)
	if errors.Is(err, eventlog.ErrCursorGone) {
		o.sub.Close()
		o.sub, o.reset, err = s.opts.Hub.Subscribe(scope, nil), true, nil
	}
	if err == nil && (after == nil || o.reset) {
		place := o.sub.Last()
		if o.place, first = &place, nil; o.reset {
			place, err = s.resumable(ctx, place)
		}
	}
	if err != nil {
		o.sub.Close()
		return nil, feedProblem(err)
	}
	o.first = first
	return o, nil
}

// begin sends what comes before all events.
func (o *opening) begin(c echo.Context, w *eventWriter) error {
	if c.Request().ProtoMajor == 1 { // HTTP/2 would end its other streams too
		c.Response().Header().Set("Connection", "close")
	}
	w.placed = o.place == nil
	err := w.begin(c.Response().Header(), o.place)
	if err == nil && o.reset {
		err = w.reset(*o.place)
	}
	return err
}

// ofSpace ends when the workspace is deleted that the stream is of.
func (o *opening) ofSpace() *tenants.Credential {
	if !o.space.Valid {
		return nil
	}
	return &tenants.Credential{Kind: tenants.CredentialWorkspace, ID: string(o.space.UUID[:])}
}

// resumable is a place of the hub or, when the log has just been pruned beyond it, the log's floor.
func (s *Server) resumable(ctx context.Context, at eventlog.Cursor) (eventlog.Cursor, error) {
	bounds, err := s.store.EventLog.Bounds(ctx)
	if err == nil && !bounds.Covers(at) {
		return bounds.Floor, nil
	}
	return at, err
}

// follow writes events until the client, the subscription or the server ends, or what is followed does.
func (s *Server) follow(ctx context.Context, w *eventWriter, f *following) {
	sub, by := f.open.sub, f.by
	if end := f.passed.expires; !end.IsZero() {
		w.out.endBy(end.Add(cutWithin))
	}
	sub.Ring(by.wake)
	for beat := time.Now().Add(s.opts.Heartbeat); ; {
		by.until(f.passed.before(beat))
		now := time.Now()
		if f.passed.expired(now) {
			f.end("the session or ticket has expired")
		}
		if why := f.ends(); why != "" {
			f.goodbye(w, why)
			return
		}
		var err error
		select {
		case <-sub.Ready():
			err = s.deliver(ctx, w, f)
		default:
			if now.Before(beat) {
				if !by.wait() {
					return
				}
				continue
			}
			err = f.heartbeat(w)
			beat = time.Now().Add(s.opts.Heartbeat)
		}
		if err != nil {
			return
		}
	}
}

func (f *following) goodbye(w *eventWriter, why string) {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.stopped = true
	w.out.cut() // its moment begins when it is written
	_ = w.goodbye(why)
}

func (f *following) heartbeat(w *eventWriter) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	return w.heartbeat(f.open.sub.Advance())
}

// Why streams end, beside what their subscription reports.
const (
	spaceDeleted = "the workspace was deleted"
	passOver     = "the key, session or ticket has ended"
	valueTaken   = "a value of ADMIN_TOKEN was taken away"
)

// errEnded ends a stream whose entity has ended.
var errEnded = errors.New("the entity has ended")

// deliver writes what is there for a subscription.
func (s *Server) deliver(ctx context.Context, w *eventWriter, f *following) (err error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	defer func() { f.stopped = err != nil }()
	sub := f.open.sub
	var messages []*events.Message
	if !f.over {
		messages, err = sub.Take(ctx)
	}
	if err == nil {
		err = w.events(messages)
		if err == nil && (f.over || f.of.endedBy(messages)) {
			_ = w.finish(sub.Last())
			return errEnded
		}
		return err
	}
	if panicked(err) {
		s.failures.Report(ctx, "event stream failed", err)
	}
	if ctx.Err() == nil {
		s.opts.Logger.DebugContext(ctx, "event stream ended", "request_id", f.request, "error", err)
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
