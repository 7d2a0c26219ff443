package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
)

func viewIngest(in *library.Ingest) types.Ingest {
	view := types.Ingest{
		JobID: in.ID.String(), Status: types.IngestStatus(in.Status), SourceType: types.SourceType(in.SourceType), DocumentID: in.DocumentID.String(),
		URL: in.URL, Name: in.Name, Outcome: in.Outcome, Reason: in.Reason,
		Progress: types.IngestProgress{Stage: in.Stage, Done: in.Done, Total: in.Total}, Attempts: in.Attempts, Retries: in.Retries, Retryable: in.Retryable(), NextAttemptAt: utc(in.NextAttemptAt),
		Bytes: in.Bytes, Chunks: in.Chunks,
		CreatedAt: in.CreatedAt.UTC(), StartedAt: utc(in.StartedAt), CompletedAt: utc(in.CompletedAt),
	}
	if in.DatasetID != nil {
		id := in.DatasetID.String()
		view.DatasetID = &id
	}
	return view
}

// ingestRoutes are POST /ingest, which finds the type of the source out, and one route for each type.
func (s *Server) ingestRoutes() []route {
	about := about{
		summary: "Ingest a source, whose type is found out", body: types.IngestRequest{}, form: ingestForm, sample: sampleIngest,
		status: http.StatusAccepted, answer: types.Ingest{},
	}
	all := []route{{http.MethodPost, "/ingest", member, s.submitIngest(""), creates | streams | uploadLimit | quick, about}}
	for _, source := range knowledge.SourceTypes() {
		about.summary, about.sample = "Ingest a source of type "+string(source), ""
		all = append(all, route{http.MethodPost, "/ingest/" + string(source), member, s.submitIngest(source), creates | streams | uploadLimit | quick, about})
	}
	return all
}

// submitIngest handles POST /ingest and POST /ingest/{type}.
func (s *Server) submitIngest(source knowledge.SourceType) echo.HandlerFunc {
	return func(c echo.Context) error {
		key, err := readKey(c.Request().Header)
		if err != nil {
			return err
		}
		sent, err := s.readIngest(c)
		defer s.dropUnclaimed(c.Request().Context(), workspaceOf(c), sent)
		if err != nil {
			return err
		}
		in, err := sent.check(source)
		if err != nil {
			return err
		}
		sub := store.Submission{
			Workspace: workspaceOf(c), Route: c.Request().Method + " " + c.Path(), Key: key, QueueDepth: s.queueDepth(c), Caller: callerOf(c),
		}
		if sub.Fingerprint, err = sent.fingerprint(); err != nil {
			return err
		}
		if in.Upload == uuid.Nil && sent.Text != "" {
			if sub.Caller != nil { // nothing is stored for a caller that is not known
				return store.ErrCaller
			}
			if in.Upload, err = sent.store(c.Request().Context(), s.store, sub.Workspace); err != nil {
				return err
			}
		}
		leave, err := s.keys.enter(c.Request().Context(), &sub, len(sent.Text))
		if err != nil {
			return err
		}
		defer leave()
		resp, err := s.createIngest(c.Request().Context(), sub, in)
		if err != nil {
			return err
		}
		if resp.Replayed {
			s.opts.Metrics.IdempotencyReplays.Inc()
		}
		return respond(c, resp)
	}
}

func (s *Server) createIngest(ctx context.Context, sub store.Submission, in library.NewIngest) (store.Response, error) {
	return s.store.Library.CreateIngest(ctx, sub, in,
		func(made *library.Ingest) (store.Response, error) {
			body, err := json.Marshal(viewIngest(made))
			return store.Response{Status: http.StatusAccepted, Location: "/ingest/jobs/" + made.ID.String(), Body: body}, err
		})
}

// dropUnclaimed deletes what was uploaded for a request that came to nothing, or was a replay.
func (s *Server) dropUnclaimed(ctx context.Context, workspace uuid.UUID, sent *sentSource) {
	if sent == nil || sent.upload == uuid.Nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.store.Library.DropUpload(ctx, workspace, sent.upload); err != nil {
		s.opts.Logger.WarnContext(ctx, "an upload is left to upkeep", "error", err)
	}
}

// listIngests handles GET /ingest/jobs.
func (s *Server) listIngests(c echo.Context) (err error) {
	filter := library.IngestFilter{Status: library.IngestStatus(c.QueryParam("status"))}
	if filter.Status != "" && !slices.Contains(library.IngestStatuses(), filter.Status) {
		return badQuery("status", fmt.Sprintf("%q is not a status", filter.Status), library.IngestStatuses())
	}
	if filter.SourceType, err = querySource(c); err != nil {
		return err
	}
	if text := c.QueryParam("document_id"); text != "" {
		if filter.Document, err = uuid.Parse(text); err != nil {
			return badQuery("document_id", "is not an id", nil)
		}
	}
	place := func(in *library.Ingest) (time.Time, uuid.UUID) { return in.CreatedAt, in.ID }
	return newestFirst(c, 500, place, viewIngest, func(ctx context.Context, page store.Page, limit int) ([]*library.Ingest, error) {
		return s.store.Library.Ingests(ctx, workspaceOf(c), filter, page, limit)
	})
}

func badQuery(field, message string, limit any) error {
	return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: field, Message: message, Limit: limit})
}

func querySource(c echo.Context) (knowledge.SourceType, error) {
	source := knowledge.SourceType(c.QueryParam("source_type"))
	if source != "" && !slices.Contains(knowledge.SourceTypes(), source) {
		return "", badQuery("source_type", fmt.Sprintf("%q is not a source type", source), knowledge.SourceTypes())
	}
	return source, nil
}

// getIngest handles GET /ingest/jobs/:id.
func (s *Server) getIngest(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	in, err := awaited(s, c, s.followedIngest(), id, func(ctx context.Context) (*library.Ingest, bool, error) {
		in, err := s.store.Library.Ingest(ctx, workspaceOf(c), id)
		return in, err == nil && in.Status.Ended(), err
	})
	if err != nil {
		return err
	}
	return ok(c, viewIngest(in))
}

// cancelIngest handles POST /ingest/jobs/:id/cancel.
func (s *Server) cancelIngest(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	in, err := s.store.Library.CancelIngest(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	return ok(c, viewIngest(in))
}
