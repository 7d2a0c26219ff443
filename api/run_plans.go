package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
)

// runPlanRequest is types.RunPlanRequest as it is bound: the base stays as it came, to be patched.
type runPlanRequest struct {
	Name      string                       `json:"name"`
	Base      jsontext.Value               `json:"base"`
	Overrides []map[string]json.RawMessage `json:"overrides"` // merge patches of base
	Grid      map[string][]json.RawMessage `json:"grid"`      // values by path, as in "account.commission"
	Ablations []string                     `json:"ablations"` // paths taken out of base, one at a time
	Pinned    bool                         `json:"pinned"`    // its breadcrumbs are never pruned
}

func viewRunPlan(p *tuning.RunPlan, variants []tuning.RunPlanVariant, trail []tuning.TradeEvent) types.RunPlan {
	view := types.RunPlan{
		RunPlanID: p.ID.String(), Name: p.Name, Status: types.RunPlanStatus(p.Status), Pinned: p.Pinned, NVariants: p.Variants,
		VariantsDone: p.VariantsDone, VariantsFailed: p.VariantsFailed,
		Base: types.NewStored[map[string]any](p.Base), Plan: types.NewStored[map[string]any](p.Plan), Variants: []types.Variant{}, Events: []types.Crumb{},
		CreatedAt: p.CreatedAt.UTC(), CompletedAt: utc(p.CompletedAt), ArchivedAt: utc(p.ArchivedAt),
	}
	for _, v := range variants {
		row := types.Variant{
			VariantID: v.VariantID, Kind: v.Kind, Label: v.Label, Overrides: types.NewStored[map[string]any](v.Overrides),
			TuneID: v.TuneID.String(), Status: types.TuneStatus(v.Status), BestScore: v.BestScore,
		}
		view.Retryable = view.Retryable || v.Retryable
		if v.Error != "" {
			row.Error = &v.Error
		}
		if base := variants[0].BestScore; base != nil && v.BestScore != nil && sameObjective(v.Overrides) {
			delta := *v.BestScore - *base
			row.Delta = &delta
		}
		view.Variants = append(view.Variants, row)
	}
	for _, e := range trail {
		view.Events = append(view.Events, types.Crumb{
			Type: e.Type, Pinned: e.Pinned, Payload: types.NewStored[map[string]any](e.Payload), At: e.CreatedAt.UTC(),
		})
	}
	return view
}

// sameObjective reports whether a variant's scores are of the baseline's kind.
func sameObjective(overrides json.RawMessage) bool {
	var changed map[string]json.RawMessage
	if json.Unmarshal(overrides, &changed) != nil {
		return false
	}
	return changed["objective_type"] == nil && changed["objective_params"] == nil
}

// submitRunPlan handles POST /run-plans.
func (s *Server) submitRunPlan(c echo.Context) error {
	var req runPlanRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	plan, err := s.checkRunPlan(c.Request().Context(), sub.Workspace, req)
	if err != nil {
		return err
	}
	if most := s.queueDepth(c); most > 0 && len(plan.Variants) > most {
		return fieldProblem("overrides", fmt.Sprintf("grid and ablations make %d variants, more than the %d pieces of work that this workspace may have open", len(plan.Variants), most), most)
	}
	resp, err := s.store.Tuning.CreateRunPlan(c.Request().Context(), sub, plan,
		func(p *tuning.RunPlan, variants []tuning.RunPlanVariant) (store.Response, error) {
			body, err := json.Marshal(viewRunPlan(p, variants, nil))
			return store.Response{Status: http.StatusAccepted, Location: "/run-plans/" + p.ID.String(), Body: body}, err
		})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// checkRunPlan works out the variants and holds each against the rules of a tune; nothing is stored
// when one fails.
func (s *Server) checkRunPlan(ctx context.Context, workspace uuid.UUID, req runPlanRequest) (tuning.NewRunPlan, error) {
	plan := tuning.NewRunPlan{Name: req.Name, Base: json.RawMessage(req.Base), Pinned: req.Pinned}
	if len(req.Name) > 100 {
		return plan, fieldProblem("name", fmt.Sprintf("has %d bytes, more than 100", len(req.Name)), 100)
	}
	if req.Base.Kind() != '{' {
		return plan, fieldProblem("base", "is required: the body of a tune", nil)
	}
	variations, err := req.variations()
	if err != nil {
		return plan, err
	}
	variants, faults := sweep.Variants(req.Base, variations)
	if err := fieldProblems(faults); err != nil {
		return plan, err
	}
	trials := 0
	for i, v := range variants {
		if err := ctx.Err(); err != nil {
			return plan, err
		}
		tune, err := s.checkVariant(ctx, workspace, i, v)
		if err != nil {
			return plan, err
		}
		if trials += tune.Trials; trials > sweep.MaxFoldTrials {
			return plan, fieldProblem("base.n_trials", fmt.Sprintf("the first %d of %d variants have %d trials, more than %d together",
				i+1, len(variants), trials, sweep.MaxFoldTrials), sweep.MaxFoldTrials)
		}
		plan.Variants = append(plan.Variants, tuning.NewVariant{ID: v.ID, Kind: v.Kind, Label: v.Label, Overrides: json.RawMessage(v.Overrides), Tune: tune})
	}
	plan.Plan, err = json.Marshal(map[string]any{"overrides": req.Overrides, "grid": req.Grid, "ablations": req.Ablations})
	if err != nil {
		return plan, fmt.Errorf("encode plan: %w", err)
	}
	return plan, nil
}

func (req runPlanRequest) variations() (sweep.Variations, error) {
	v := sweep.Variations{Grid: map[string][]jsontext.Value{}, Ablations: req.Ablations}
	for i, members := range req.Overrides {
		patch, err := json.Marshal(members)
		if err != nil {
			return v, fmt.Errorf("encode override %d: %w", i, err)
		}
		v.Overrides = append(v.Overrides, jsontext.Value(patch))
	}
	for path, values := range req.Grid {
		v.Grid[path] = []jsontext.Value{}
		for _, value := range values {
			v.Grid[path] = append(v.Grid[path], jsontext.Value(value))
		}
	}
	return v, nil
}

// checkVariant is checkTune with the variant named in what it finds.
func (s *Server) checkVariant(ctx context.Context, workspace uuid.UUID, i int, v sweep.Variant) (tuning.NewTune, error) {
	var req tuneRequest
	err := decode(v.Body, &req)
	var tune tuning.NewTune
	if err == nil {
		tune, err = s.checkTune(ctx, workspace, req)
	}
	var p *problemError
	if err == nil || !errors.As(err, &p) {
		return tune, err
	}
	where, about := fmt.Sprintf("variants[%d].", i), fmt.Sprintf(" (variant %d, %s)", i, v.Label)
	if v.Kind == sweep.VariantBaseline {
		where, about = "base.", ""
	}
	named := *p
	named.Errors = slices.Clone(p.Errors)
	for i, e := range named.Errors {
		named.Errors[i] = types.FieldError{Field: where + e.Field, Message: e.Message + about, Limit: e.Limit}
	}
	return tune, &named
}

// getRunPlan handles GET /run-plans/:id.
func (s *Server) getRunPlan(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	return s.showRunPlan(c, id)
}

func (s *Server) showRunPlan(c echo.Context, id uuid.UUID) error {
	const trailShown = 1000
	ctx := c.Request().Context()
	plan, variants, err := s.store.Tuning.RunPlan(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	trail, err := s.store.Tuning.TradeEvents(ctx, workspaceOf(c), id, trailShown)
	if err != nil {
		return err
	}
	return ok(c, viewRunPlan(plan, variants, trail))
}

// listRunPlans handles GET /run-plans.
func (s *Server) listRunPlans(c echo.Context) error {
	status := tuning.RunPlanStatus(strings.TrimSpace(c.QueryParam("status")))
	if status != "" && !slices.Contains(tuning.RunPlanStatuses(), status) {
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
			Field: "status", Message: fmt.Sprintf("%q is not a status", status), Limit: tuning.RunPlanStatuses(),
		})
	}
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	place := func(p *tuning.RunPlan) (time.Time, uuid.UUID) { return p.CreatedAt, p.ID }
	view := func(p *tuning.RunPlan) types.RunPlan { return viewRunPlan(p, nil, nil) }
	return newestFirst(c, 200, place, view, func(ctx context.Context, page store.Page, limit int) ([]*tuning.RunPlan, error) {
		return s.store.Tuning.RunPlans(ctx, workspaceOf(c), status, &archived, page, limit)
	})
}

// cancelRunPlan handles POST /run-plans/:id/cancel. Like canceling a tune it needs no idempotency
// key.
func (s *Server) cancelRunPlan(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := s.store.Tuning.CancelRunPlan(c.Request().Context(), workspaceOf(c), id); err != nil {
		return err
	}
	return s.showRunPlan(c, id)
}
