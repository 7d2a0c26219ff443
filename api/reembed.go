package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
)

func viewReembed(r *library.Reembed) types.Reembed {
	m := r.To.Model
	return types.Reembed{
		ReembedID: r.ID.String(), WorkspaceID: r.WorkspaceID.String(), Status: types.ReembedStatus(r.Status), Reason: r.Reason,
		Provider: m.Provider, Model: m.Name, Dimensions: m.Dimensions, Collection: r.To.Collection.Name, FromCollection: r.From.Name,
		Done: r.Done, Total: r.Total, CreatedAt: r.CreatedAt.UTC(), StartedAt: utc(r.StartedAt), CompletedAt: utc(r.CompletedAt),
	}
}

// reembed handles POST /admin/workspaces/:id/reembed. To the model that the workspace has it embeds
// everything again, as after the index lost its vectors.
func (s *Server) reembed(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	var req types.ReembedRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	models := s.opts.Knowledge.Models()
	to, ok := models[0], req.Provider == ""
	var known []string
	for _, m := range models {
		known = append(known, m.Provider)
		if m.Provider == req.Provider {
			to, ok = m, true
		}
	}
	if !ok {
		return fieldProblem("provider", fmt.Sprintf("%q is not set up here", req.Provider), known)
	}
	resp, err := s.store.Library.CreateReembed(c.Request().Context(), sub, knowledge.PlacementOf(to),
		func(r *library.Reembed) (store.Response, error) {
			body, err := json.Marshal(viewReembed(r))
			return store.Response{Status: http.StatusAccepted, Location: "/admin/reembeds/" + r.ID.String(), Body: body}, err
		})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// getReembed handles GET /admin/reembeds/:id.
func (s *Server) getReembed(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	r, err := s.store.Library.Reembed(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return ok(c, viewReembed(r))
}

// listReembeds handles GET /admin/reembeds.
func (s *Server) listReembeds(c echo.Context) error {
	place := func(r *library.Reembed) (time.Time, uuid.UUID) { return r.CreatedAt, r.ID }
	return newestFirst(c, 200, place, viewReembed, s.store.Library.Reembeds)
}
