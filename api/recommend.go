package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/ops"
	"millrace/store/recommend"
	"millrace/store/strategies"
)

// recommendTimeout bounds a recommendation as a whole.
const recommendTimeout = 10 * time.Second

// shownCandidates bounds the candidates of an answer.
const shownCandidates = 20

// recommend handles POST /kb/recommend.
func (s *Server) recommend(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	start := time.Now()
	var req types.RecommendRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), recommendTimeout)
	defer cancel()
	workspace := workspaceOf(c)
	want, err := s.checkRecommend(ctx, workspace, req)
	if err != nil {
		return err
	}
	took := types.RecommendTimings{Regime: milliseconds(time.Since(start))}
	advice, err := s.opts.Knowledge.Advise(ctx, workspace, want)
	if err != nil {
		return s.recommendProblem(err)
	}
	run, err := s.noteRecommend(ctx, workspace, req, want, advice)
	if err != nil {
		return s.recommendProblem(err)
	}
	found := advice.Evidence.Timings
	took.Embed, took.Qdrant, took.Rerank = milliseconds(found.Embed), milliseconds(found.Vector), milliseconds(found.Rerank)
	took.Aggregate, took.Total = milliseconds(advice.Aggregate), milliseconds(time.Since(start))
	s.measureSearch(ctx, advice.Evidence, time.Since(start))
	ops.Tag(ctx, "kb_status", string(advice.Status))
	ops.Tag(ctx, "kb_confidence", confidenceBucket(advice))
	ops.Tag(ctx, "strategy", want.Strategy)
	s.opts.Metrics.Knowledge.RecommendRequests.WithLabelValues(string(advice.Status), confidenceBucket(advice)).Inc()
	view := viewAdvice(want, advice)
	view.RunID, view.TimingsMS = run.String(), took
	return ok(c, view)
}

// recommendProblem counts a recommendation that ran out of time.
func (s *Server) recommendProblem(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		s.opts.Metrics.Knowledge.RecommendTimeouts.Inc()
		return problem(http.StatusGatewayTimeout, fmt.Sprintf("The recommendation took longer than %s.", recommendTimeout))
	}
	return err
}

// confidenceBucket is none, low, medium or high.
func confidenceBucket(a *knowledge.Advice) string {
	switch {
	case a.Status == knowledge.RecommendNone:
		return "none"
	case a.Confidence < 1.0/3:
		return "low"
	case a.Confidence < 2.0/3:
		return "medium"
	}
	return "high"
}

// noteRecommend keeps the run, and opens or closes a gap in coverage.
func (s *Server) noteRecommend(ctx context.Context, workspace uuid.UUID, req types.RecommendRequest, want knowledge.Wanted, a *knowledge.Advice) (uuid.UUID, error) {
	run := recommend.NewMatchRun{
		Text:   fmt.Sprintf("parameters of %s in %s", want.Strategy, marketText(want.Regime.Tags)),
		Intent: knowledge.RecommendIntent(want.Strategy, want.Regime.Tags, want.Terms), Request: req,
		Status: a.Status, Confidence: &a.Confidence, Matches: len(a.Candidates), Best: a.BestScore,
	}
	if a.Status == knowledge.RecommendNone {
		run.Matches = 0 // too few to distinguish from luck
		run.Best = 0
	}
	if a.BasedOn != nil {
		run.CandidateType, run.CandidateID = recommend.CandidateTune, a.BasedOn.TuneID
	}
	return s.store.Recommend.RecordMatch(ctx, workspace, run)
}

// checkRecommend holds the request against its bounds and finds the regime that it asks about.
func (s *Server) checkRecommend(ctx context.Context, workspace uuid.UUID, req types.RecommendRequest) (knowledge.Wanted, error) {
	want := knowledge.Wanted{Strategy: req.StrategyName, Question: req.Question, Rerank: req.Rerank, Terms: floorTerms(req.Floors)}
	faults := recommendFaults(&req)
	if err := fieldProblems(faults); err != nil {
		return want, err
	}
	if req.ObjectiveType != nil {
		want.Objective = string(*req.ObjectiveType)
	}
	if req.Regime != nil {
		want.Regime = sweep.RegimeOf(sweep.RegimeVector(*req.Regime))
	} else {
		dataset, err := s.store.Market.Dataset(ctx, workspace, req.Dataset)
		if err != nil {
			return want, datasetProblem("dataset", req.Dataset, err)
		}
		bars, _, err := s.store.Market.Bars(ctx, workspace, dataset.ID)
		if err != nil {
			return want, err
		}
		if want.Regime, err = sweep.NewRegime(bars, bars.Len()); err != nil {
			return want, fieldProblem("dataset", err.Error(), sweep.MinRegimeBars)
		}
		want.Terms.Timeframe = dataset.Timeframe
	}
	if req.Timeframe != nil {
		want.Terms.Timeframe = *req.Timeframe
	}
	return want, nil
}

// recommendFaults lists what is wrong with the request itself.
func recommendFaults(r *types.RecommendRequest) []invalid.FieldError {
	var faults []invalid.FieldError
	fault := func(field, message string, limit any) {
		faults = append(faults, invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	if _, ok := backtest.Lookup(r.StrategyName); !ok && !strategies.IsScript(r.StrategyName) {
		fault("strategy_name", fmt.Sprintf("%q is not a strategy", r.StrategyName), nil)
	}
	switch {
	case (r.Dataset == "") == (r.Regime == nil):
		fault("dataset", "name either a dataset or a regime", nil)
	case r.Regime != nil:
		for i, value := range sweep.RegimeVector(*r.Regime).Values() {
			if math.IsNaN(value) || math.Abs(value) > 1e6 || value < 0 && i < 4 {
				fault("regime."+sweep.RegimeFeatures()[i], "is out of its range", 1e6)
			}
		}
	}
	if r.ObjectiveType != nil && !slices.Contains(sweep.Objectives(), sweep.Objective(*r.ObjectiveType)) {
		fault("objective_type", fmt.Sprintf("%q is not an objective", *r.ObjectiveType), sweep.Objectives())
	}
	if r.Timeframe != nil && len(*r.Timeframe) > 20 {
		fault("timeframe", "is longer than 20 characters", 20)
	}
	if r.Question != "" {
		if message := checkQuestion(&r.Question); message != "" {
			fault("question", message, knowledge.MaxQuestion)
		}
	}
	return append(faults, floorFaults(r.Floors)...)
}

// bound is the range of a floor.
type bound struct {
	name      string
	value     *float64
	low, high float64
}

func floorFaults(f types.RecommendFloors) []invalid.FieldError {
	var trades *float64
	if f.MinTrades != nil {
		trades = new(float64(*f.MinTrades))
	}
	var faults []invalid.FieldError
	for _, b := range []bound{
		{"min_oos_sharpe", f.MinOOSSharpe, -100, 100}, {"min_return_pct", f.MinReturnPct, -100, 1e6}, {"min_calmar", f.MinCalmar, -1e6, 1e6},
		{"max_drawdown_pct", f.MaxDrawdownPct, 0, 100}, {"min_trades", trades, 0, 1e6}, {"max_overfit_gap", f.MaxOverfitGap, -100, 100},
		{"min_similarity", f.MinSimilarity, 0, 1},
	} {
		if b.value != nil && !(*b.value >= b.low && *b.value <= b.high) {
			faults = append(faults, invalid.FieldError{
				Field: "floors." + b.name, Message: fmt.Sprintf("must be from %g to %g", b.low, b.high), Limit: []float64{b.low, b.high},
			})
		}
	}
	return faults
}

// floorTerms are the floors with their defaults.
func floorTerms(f types.RecommendFloors) knowledge.Terms {
	t := knowledge.DefaultTerms()
	t.MinSharpe = given(f.MinOOSSharpe, t.MinSharpe)
	t.MinReturnPct = given(f.MinReturnPct, t.MinReturnPct)
	t.MinCalmar = given(f.MinCalmar, t.MinCalmar)
	t.MaxDrawdownPct = given(f.MaxDrawdownPct, t.MaxDrawdownPct)
	t.MaxOverfitGap = given(f.MaxOverfitGap, t.MaxOverfitGap)
	t.MinSimilarity = given(f.MinSimilarity, t.MinSimilarity)
	t.MinTrades = given(f.MinTrades, t.MinTrades)
	return t
}

// given is the request's value, or the default where it names none.
func given[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}
