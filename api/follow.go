package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/events"
	"millrace/store/eventlog"
	"millrace/store/library"
	"millrace/store/tenants"
	"millrace/store/walkforward"
)

// followed is a kind of entity that changes until an event of its own ends it.
type followed struct {
	topic, prefix string   // of its events
	ends          []string // what follows the prefix in the types of events that end it
	// state is the entity as an event would report it.
	state func(ctx context.Context, workspace, id uuid.UUID) (entityState, error)
}

type entityState struct {
	status  string
	payload any // as that of its events
}

// endedBy reports whether one of the events ends the entity.
func (f *followed) endedBy(messages []*events.Message) bool {
	return f != nil && slices.ContainsFunc(messages, func(m *events.Message) bool {
		what, own := strings.CutPrefix(m.Type, f.prefix)
		return own && f.over(what)
	})
}

// over reports whether a status is final.
func (f *followed) over(status string) bool { return slices.Contains(f.ends, status) }

func (s *Server) followedTune() *followed {
	return &followed{topic: "backtests", prefix: "backtest.tune.", ends: ending[types.TuneStatus](tuneStatuses()),
		state: func(ctx context.Context, workspace, id uuid.UUID) (entityState, error) {
			t, err := s.store.Tuning.Get(ctx, workspace, id)
			if err != nil {
				return entityState{}, err
			}
			return entityState{string(t.Status), types.TuneProgress{
				Status: types.TuneStatus(t.Status), NTrials: t.Trials, TrialsCompleted: t.Progress.Done(), ShareDone: t.ShareDone(), BestScore: t.Progress.BestScore,
				BestTrial: t.Progress.BestTrial, ETASeconds: t.ETA(s.store.Clock().Now()), Error: t.Error,
			}}, nil
		}}
}

func (s *Server) followedWFO() *followed {
	return &followed{topic: "wfo", prefix: "wfo.run.", ends: ending[types.WFOStatus](walkforward.Statuses()),
		state: func(ctx context.Context, workspace, id uuid.UUID) (entityState, error) {
			w, err := s.store.WalkForward.Get(ctx, workspace, id)
			if err != nil {
				return entityState{}, err
			}
			return entityState{string(w.Status), types.WFOProgress{
				Status: types.WFOStatus(w.Status), NFolds: w.Folds, FoldsDone: w.FoldsDone, FoldsFailed: w.FoldsFailed, FoldsScored: w.ScoresDone,
				NTrials: w.TrialsTotal(), TrialsCompleted: w.TrialsDone, ETASeconds: w.ETA(s.store.Clock().Now()), Error: w.Error,
			}}, nil
		}}
}

func (s *Server) followedIngest() *followed {
	return &followed{topic: "ingestion", prefix: "ingestion.job.", ends: ending[types.IngestStatus](library.IngestStatuses()),
		state: func(ctx context.Context, workspace, id uuid.UUID) (entityState, error) {
			in, err := s.store.Library.Ingest(ctx, workspace, id)
			if err != nil {
				return entityState{}, err
			}
			view := viewIngest(in)
			return entityState{string(in.Status), types.IngestEvent{
				Status: view.Status, SourceType: view.SourceType, DocumentID: view.DocumentID, DatasetID: view.DatasetID, Name: view.Name,
				Stage: in.Stage, Done: in.Done, Total: in.Total, Outcome: in.Outcome, Reason: in.Reason, Chunks: in.Chunks,
				NextAttemptAt: view.NextAttemptAt,
			}}, nil
		}}
}

// ending are the final ones of some statuses.
func ending[W interface {
	~string
	Ended() bool
}, S ~string](all []S) []string {
	var ends []string
	for _, status := range all {
		if W(status).Ended() {
			ends = append(ends, string(status))
		}
	}
	return ends
}

func (f *followed) scope(c echo.Context, id uuid.UUID) eventlog.Scope {
	return eventlog.Scope{
		Workspace: uuid.NullUUID{UUID: workspaceOf(c), Valid: true}, Topics: []string{f.topic}, Entity: id.String(),
	}
}

// streamOf makes the handler of GET …/:id/events: the events of one entity. A client that begins is sent
// the entity's state first, as an event; the stream ends with the entity, and who comes back after that
// end is sent away for good.
func (s *Server) streamOf(of *followed) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := pathID(c)
		if err != nil {
			return err
		}
		if strings.HasSuffix(c.Request().Header.Get(lastEventHeader), endSuffix) {
			if _, err := of.state(c.Request().Context(), workspaceOf(c), id); err != nil {
				return err
			}
			return c.NoContent(http.StatusNoContent)
		}
		open, err := s.open(c, of.scope(c, id))
		if err != nil {
			return err
		}
		// Read after the subscription began: what changes from now on is in an event to come.
		state, err := of.state(c.Request().Context(), workspaceOf(c), id)
		if err != nil {
			open.sub.Close()
			return err
		}
		s.run(c, followingOf(c, open, of), func(w *eventWriter) error { return s.beginEntity(c, w, open, of, state) })
		return nil
	}
}

// beginEntity writes what comes before the live events of an entity; errEnded when nothing does.
func (s *Server) beginEntity(c echo.Context, w *eventWriter, open *opening, of *followed, state entityState) error {
	over := of.over(state.status)
	messages := open.first
	for open.place == nil {
		if err := w.events(messages); err != nil {
			return err
		}
		if of.endedBy(messages) {
			_ = w.finish(open.sub.Last())
			return errEnded
		}
		if !over {
			return nil
		}
		if !open.sub.Replaying() {
			break // the client has had the last event, or cannot be sent it yet
		}
		var err error
		if messages, err = open.sub.Take(c.Request().Context()); err != nil {
			_ = w.goodbye("resume from the last id")
			return err
		}
	}
	if err := w.state(c, open.sub.Last(), of, state); err != nil {
		return err
	}
	if over {
		_ = w.finish(open.sub.Last())
		return errEnded
	}
	return nil
}

// state sends an entity's state in the form of an event.
func (w *eventWriter) state(c echo.Context, at eventlog.Cursor, of *followed, state entityState) error {
	payload, err := json.Marshal(state.payload)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	frame, err := eventFrame(eventlog.Event{
		Cursor: at, At: time.Now(), Workspace: uuid.NullUUID{UUID: workspaceOf(c), Valid: true}, Topic: of.topic, Type: of.prefix + state.status,
		EntityID: c.Param("id"), Payload: payload,
	})
	if err != nil {
		return err
	}
	w.quiet, w.placed = 0, true
	return w.writeOut(frame)
}

// longestWait bounds ?wait=: proxies between give up on longer silences.
const longestWait = time.Minute

// queryWait reads how long a read may wait: a duration such as 30s, or seconds; 0: not at all.
func queryWait(c echo.Context) (time.Duration, error) {
	text := c.QueryParam("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if seconds, notNumber := strconv.ParseUint(text, 10, 16); notNumber == nil {
		wait, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || wait < 0 || wait > longestWait {
		return 0, badQuery("wait", "must be a duration from 0s to 60s, such as 30s", []string{"0s", "60s"})
	}
	return wait, nil
}

// awaited reads an entity. When the query says wait, it reads it again once an event reports its end, or
// the time is over. Meanwhile the request holds no connection of the database and asks it nothing.
func awaited[T any](s *Server, c echo.Context, of *followed, id uuid.UUID, read func(context.Context) (T, bool, error)) (T, error) {
	var none T
	ctx := c.Request().Context()
	wait, err := queryWait(c)
	if err != nil {
		return none, err
	}
	if wait == 0 {
		entity, _, err := read(ctx)
		return entity, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for last := false; ; {
		sub := s.opts.Hub.Subscribe(of.scope(c, id), nil)
		entity, ended, err := read(ctx)
		if err == nil && !ended && !last {
			last, err = s.await(c, sub, of, over.C)
			sub.Close()
			if err != nil {
				return none, err
			}
			continue
		}
		sub.Close()
		return entity, err
	}
}

// await waits for an event that ends the entity. It reports whether to wait no further after it.
func (s *Server) await(c echo.Context, sub *events.Subscription, of *followed, over <-chan time.Time) (last bool, err error) {
	passed, _ := c.Get(passKey).(pass)
	gone := make(chan struct{})
	defer s.passes.watch(passed.holds, func() { close(gone) })()
	ctx := c.Request().Context()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-gone:
			return true, errPassEnded()
		case <-over:
			return true, s.holds(ctx, passed)
		case <-s.ending:
			return true, s.holds(ctx, passed)
		case <-sub.Ready():
			messages, err := sub.Take(ctx)
			switch {
			case errors.Is(err, events.ErrClosed):
				return true, s.holds(ctx, passed)
			case err != nil, of.endedBy(messages):
				return false, s.holds(ctx, passed)
			}
		}
	}
}

// holds is the answer to a request whose key has ended while it waited. A database that is away ends nothing.
func (s *Server) holds(ctx context.Context, passed pass) error {
	if passed.holds == nil {
		return nil
	}
	if ended, err := s.store.Tenants.Ended(ctx, []tenants.Credential{*passed.holds}); err == nil && len(ended) > 0 {
		return errPassEnded()
	}
	return nil
}

func errPassEnded() error {
	return problem(http.StatusUnauthorized, "The key was revoked while this request waited.")
}
