package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/recommend"
	"millrace/store/tuning"
)

// explainTune handles POST /backtests/tunes/:id/explain: a new explanation, which is kept.
func (s *Server) explainTune(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, workspace := c.Request().Context(), workspaceOf(c)
	facts, err := s.tuneFacts(ctx, workspace, id)
	if err != nil {
		return err
	}
	explanation, err := s.opts.Knowledge.Explain(ctx, workspace, facts.Subject())
	if err != nil {
		return err
	}
	view := types.TuneExplanation{TuneID: id.String(), Explanation: s.explained(explanation), CreatedAt: time.Now().UTC()}
	body, err := json.Marshal(view)
	if err != nil {
		return fmt.Errorf("encode explanation: %w", err)
	}
	if err := s.store.Tuning.PutExplanation(ctx, workspace, id, body); err != nil {
		return err
	}
	return ok(c, view)
}

// getExplanation handles GET /backtests/tunes/:id/explain: the last explanation.
func (s *Server) getExplanation(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	body, err := s.store.Tuning.Explanation(c.Request().Context(), workspaceOf(c), id)
	if errors.Is(err, store.ErrNotFound) {
		return problem(http.StatusNotFound, "This tune was not explained yet: POST to the same address explains it.")
	}
	if err != nil {
		return err
	}
	return ok(c, types.NewStored[types.TuneExplanation](body))
}

// tuneFacts reads what is known of a tune. One that is not completed has nothing to be explained.
func (s *Server) tuneFacts(ctx context.Context, workspace, id uuid.UUID) (knowledge.TuneFacts, error) {
	tune, err := s.store.Tuning.Get(ctx, workspace, id)
	if err != nil {
		return knowledge.TuneFacts{}, err
	}
	facts := knowledge.TuneFacts{
		Spec: tune.Spec, Dataset: tune.Dataset, Trials: tune.Trials, Regime: tune.Regime, Warnings: tune.Warnings, Outcome: &sweep.Outcome{},
	}
	if tune.Status != tuning.Completed {
		return facts, problem(http.StatusConflict, fmt.Sprintf("The tune is %s; a completed one can be explained.", tune.Status))
	}
	if err := json.Unmarshal(tune.Outcome, facts.Outcome); err != nil {
		return facts, fmt.Errorf("decode outcome of tune %s: %w", id, err)
	}
	entries, err := s.store.Tuning.LeaderboardOf(ctx, workspace, id, 1)
	if err != nil || len(entries) == 0 {
		return facts, err
	}
	facts.Best = &sweep.Entry{}
	if err := json.Unmarshal(entries[0], facts.Best); err != nil {
		return facts, fmt.Errorf("decode best trial of tune %s: %w", id, err)
	}
	return facts, nil
}

// explainMatch handles POST /admin/coverage/explain.
func (s *Server) explainMatch(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	var req types.ExplainMatchRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	id, err := uuid.Parse(req.RunID)
	if err != nil {
		return problem(http.StatusUnprocessableEntity, "The request is not valid.",
			invalid.FieldError{Field: "run_id", Message: "is required: the id of a recommendation or query"})
	}
	run, err := s.store.Recommend.MatchRun(c.Request().Context(), id)
	if err != nil {
		return err
	}
	explanation, err := s.opts.Knowledge.Explain(c.Request().Context(), run.WorkspaceID, matchFacts(run).Subject())
	if err != nil {
		return err
	}
	return ok(c, types.MatchExplanation{RunID: run.ID.String(), Explanation: s.explained(explanation)})
}

func matchFacts(r *recommend.MatchRun) knowledge.MatchFacts {
	facts := knowledge.MatchFacts{
		Kind: r.Kind, Intent: r.Intent, Status: r.Status, Confidence: r.Confidence, Matches: r.Matches, Best: r.Best,
		Codes: r.Codes, Seen: r.Seen, Coverage: string(r.CoverageStatus),
	}
	if r.Resolution != nil {
		facts.Resolution = *r.Resolution
	}
	if r.Note != nil {
		facts.Note = *r.Note
	}
	return facts
}
