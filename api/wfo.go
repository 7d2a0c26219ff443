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
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/requests"
	"millrace/store/walkforward"
)

// wfoRequest is the body of POST /backtests/wfo: a tune and how it walks.
type wfoRequest = requests.WalkForward

// curvePoints is how many points of the curve are shown beside the rest.
const curvePoints = 500

func viewWFO(w *walkforward.Run, folds []walkforward.Fold, now time.Time) (types.WFO, error) {
	view := types.WFO{
		WFOID: w.ID.String(), Status: types.WFOStatus(w.Status), Admitted: w.Admitted, Dataset: w.Dataset, Datasets: w.Datasets(), StrategyName: w.Spec.StrategyName,
		SearchType: types.SearchType(w.Spec.SearchType), ObjectiveType: types.Objective(w.Spec.ObjectiveType), WFOConfig: types.WFOConfig(w.Config), NFolds: w.Folds,
		FoldsDone: w.FoldsDone, FoldsFailed: w.FoldsFailed, NTrials: w.TrialsTotal(), TrialsCompleted: w.TrialsDone,
		Candidates: []types.Stored[types.Candidate]{}, Folds: []types.Fold{}, Equity: []types.Equity{},
		Warnings: append([]string{}, w.Warnings...), Spec: viewSpec(w.Spec), CreatedAt: w.CreatedAt.UTC(),
		StartedAt: utc(w.StartedAt), CompletedAt: utc(w.CompletedAt), ArchivedAt: utc(w.ArchivedAt), Retries: w.Retries, Retryable: w.Retryable(), ETASeconds: w.ETA(now),
	}
	if w.Error != "" {
		view.Error = &w.Error
	}
	var found sweep.WFOOutcome
	if w.Outcome != nil {
		if err := json.Unmarshal(w.Outcome, &found); err != nil {
			return view, fmt.Errorf("decode outcome of walk-forward %s: %w", w.ID, err)
		}
		view.NCandidates, view.NEligible, view.OOS = &found.Candidates, &found.Eligible, (*types.Stitched)(&found.OOS)
		view.BestParams, view.BestScore = nullable(found.BestParams), found.BestScore
		view.Efficiency, view.Undefined = found.Efficiency, found.Undefined
		for _, d := range found.ByDataset {
			view.ByDataset = append(view.ByDataset, types.DatasetWalk{
				Dataset: d.Dataset, From: d.From, To: d.To, OOS: types.Stitched(d.OOS), Earned: d.Earned, Chosen: d.Chosen,
			})
		}
		view.Evidence = types.NewStored[*types.Evidence](w.Evidence)
	}
	for _, fold := range folds {
		shown, err := viewFold(fold, w.Datasets(), found.Folds)
		if err != nil {
			return view, err
		}
		view.Folds = append(view.Folds, shown)
	}
	return view, nil
}

// nullable is a map that may be null, which is shown as such in the API's document.
func nullable(params map[string]float64) *map[string]float64 {
	if params == nil {
		return nil
	}
	return &params
}

func viewFold(f walkforward.Fold, datasets []string, outcomes []sweep.FoldOutcome) (types.Fold, error) {
	view := types.Fold{
		Fold: f.Index, Status: types.FoldStatus(f.Status), TrainStart: f.TrainStart, TrainEnd: f.TrainEnd, TestStart: f.TrainEnd, TestEnd: f.TestEnd,
		TrainBars: f.TrainBars, TestBars: f.TestBars,
	}
	if f.TuneID != nil {
		id := f.TuneID.String()
		view.TuneID = &id
	}
	if f.Error != "" {
		view.Error = &f.Error
	}
	for i, bars := range f.Sets {
		view.Datasets = append(view.Datasets, types.FoldDataset{Dataset: datasets[i], TrainBars: bars.TrainBars, TestBars: bars.TestBars})
	}
	for _, o := range outcomes {
		if o.Fold == f.Index {
			if err := addByDataset(view.Datasets, o.Datasets); err != nil {
				return view, err
			}
			view.Params, view.ScoreIS, view.ScoreOOS = nullable(o.Params), o.ScoreIS, o.ScoreOOS
			var err error
			if view.MetricsIS, err = viewMetrics(o.MetricsIS); err != nil {
				return view, err
			}
			if view.MetricsOOS, err = viewMetrics(o.MetricsOOS); err != nil {
				return view, err
			}
		}
	}
	return view, nil
}

// addByDataset adds what a fold chose does on each dataset.
func addByDataset(to []types.FoldDataset, found []sweep.DatasetEntry) (err error) {
	for i := range to {
		for _, d := range found {
			if d.Dataset != to[i].Dataset {
				continue
			}
			to[i].ScoreIS, to[i].ScoreOOS = d.ScoreIS, d.ScoreOOS
			if to[i].MetricsIS, err = viewMetrics(&d.MetricsIS); err != nil {
				return err
			}
			if to[i].MetricsOOS, err = viewMetrics(d.MetricsOOS); err != nil {
				return err
			}
		}
	}
	return nil
}

// submitWFO handles POST /backtests/wfo.
func (s *Server) submitWFO(c echo.Context) error {
	var req wfoRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	resp, err := s.remembering(&sub, func(check requests.Checker) (store.Response, error) {
		wfo, err := check.WalkForward(ctx, sub.Workspace, req)
		if err != nil {
			return store.Response{}, asFault(err)
		}
		return s.store.WalkForward.Create(ctx, sub, wfo, func(w *walkforward.Run, folds []walkforward.Fold) (store.Response, error) {
			view, err := viewWFO(w, folds, w.CreatedAt)
			if err != nil {
				return store.Response{}, err
			}
			body, err := json.Marshal(view)
			return store.Response{Status: http.StatusAccepted, Location: "/backtests/wfo/" + w.ID.String(), Body: body}, err
		})
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// checkWFO holds the request against its rules and its dataset; nothing is stored when it fails.
func (s *Server) checkWFO(ctx context.Context, workspace uuid.UUID, req wfoRequest) (walkforward.NewRun, error) {
	wfo, err := s.checker().WalkForward(ctx, workspace, req)
	return wfo, asFault(err)
}

// getWFO handles GET /backtests/wfo/:id.
func (s *Server) getWFO(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "candidates", 10, 0, 1000)
	if err != nil {
		return err
	}
	ctx, workspace := c.Request().Context(), workspaceOf(c)
	wfo, err := awaited(s, c, s.followedWFO(), id, func(ctx context.Context) (*walkforward.Run, bool, error) {
		wfo, err := s.store.WalkForward.Get(ctx, workspace, id)
		return wfo, err == nil && wfo.Status.Ended(), err
	})
	if err != nil {
		return err
	}
	folds, err := s.store.WalkForward.Folds(ctx, workspace, id)
	if err != nil {
		return err
	}
	view, err := viewWFO(wfo, folds, s.store.Clock().Now())
	if err != nil {
		return err
	}
	entries, err := s.store.WalkForward.Candidates(ctx, workspace, id, 0, limit)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		view.Candidates = append(view.Candidates, types.NewStored[types.Candidate](entry))
	}
	if view.Equity, err = s.wfoCurve(ctx, wfo, -1, curvePoints); err != nil {
		return err
	}
	return ok(c, view)
}

// listWFOs handles GET /backtests/wfo.
func (s *Server) listWFOs(c echo.Context) error {
	page, err := queryPage(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 50, 1, 200)
	if err != nil {
		return err
	}
	filter := walkforward.Filter{Status: walkforward.Status(c.QueryParam("status")), Strategy: c.QueryParam("strategy")}
	if filter.Status != "" && !slices.Contains(walkforward.Statuses(), filter.Status) {
		return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{
			Field: "status", Message: fmt.Sprintf("%q is not a status", filter.Status), Limit: walkforward.Statuses(),
		})
	}
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	filter.Archived = &archived
	found, err := s.store.WalkForward.List(c.Request().Context(), workspaceOf(c), filter, page, limit+1)
	if err != nil {
		return err
	}
	all := paged(found, limit, func(w *walkforward.Run) string { return pageCursor(w.CreatedAt, w.ID) })
	views := types.List[types.WFO]{Items: make([]types.WFO, len(all.Items)), NextCursor: all.NextCursor}
	for i, w := range all.Items {
		if views.Items[i], err = viewWFO(w, nil, s.store.Clock().Now()); err != nil {
			return err
		}
	}
	return ok(c, views)
}

// cancelWFO handles POST /backtests/wfo/:id/cancel. Like canceling a tune it needs no idempotency
// key.
func (s *Server) cancelWFO(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	wfo, err := s.store.WalkForward.Cancel(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	folds, err := s.store.WalkForward.Folds(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	view, err := viewWFO(wfo, folds, s.store.Clock().Now())
	if err != nil {
		return err
	}
	return ok(c, view)
}
