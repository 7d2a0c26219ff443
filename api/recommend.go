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

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/ops"
	"millrace/store/recommend"
)

// recommendTimeout bounds a recommendation as a whole.
const recommendTimeout = 10 * time.Second

// shownCandidates bounds the candidates of an answer.
const shownCandidates = 20

// recommendRequest is the body of POST /kb/recommend.
type recommendRequest struct {
	StrategyName  string              `json:"strategy_name"`
	Dataset       string              `json:"dataset"`        // id or name: its last 200 bars are the regime asked about
	Regime        *sweep.RegimeVector `json:"regime"`         // or the regime itself
	ObjectiveType *sweep.Objective    `json:"objective_type"` // only tunes under it; by default all
	Timeframe     *string             `json:"timeframe"`      // by default the dataset's; "" for any
	Floors        recommendFloors     `json:"floors"`
	Question      string              `json:"question"` // what to look for in the documents
	Rerank        bool                `json:"rerank"`
}

// recommendFloors are what candidates are held to, out of sample; null takes the default.
type recommendFloors struct {
	MinOOSSharpe   *float64 `json:"min_oos_sharpe"`   // default 0.3
	MinReturnPct   *float64 `json:"min_return_pct"`   // default 5
	MinCalmar      *float64 `json:"min_calmar"`       // default 0.5
	MaxDrawdownPct *float64 `json:"max_drawdown_pct"` // default 20
	MinTrades      *int     `json:"min_trades"`       // default 5
	MaxOverfitGap  *float64 `json:"max_overfit_gap"`  // of the Sharpe ratio; default 0.5
	MinSimilarity  *float64 `json:"min_similarity"`   // of the regime, 0 to 1; default 0.5
}

// recommendView is the answer to POST /kb/recommend.
type recommendView struct {
	RunID        string                    `json:"run_id"`
	Status       knowledge.RecommendStatus `json:"status"`
	Confidence   float64                   `json:"confidence"`
	StrategyName string                    `json:"strategy_name"`
	Regime       regimeView                `json:"regime"`
	Params       *map[string]float64       `json:"params"`   // of a trial that was run; null with status none
	BasedOn      *candidateView            `json:"based_on"` // that trial
	Ranges       map[string]rangeView      `json:"ranges"`
	Candidates   []candidateView           `json:"candidates"` // at most 20, best first
	Counts       recommendCounts           `json:"counts"`
	Relaxed      []knowledge.Axis          `json:"relaxed"`
	Suggestions  []relaxationView          `json:"suggestions"`
	ReasonCodes  []string                  `json:"reason_codes"`
	Evidence     []matchView               `json:"evidence"` // what the documents say
	Lacking      []string                  `json:"lacking"`  // what the search in them did without
	TimingsMS    recommendTimings          `json:"timings_ms"`
}

// regimeView is the regime that was asked about.
type regimeView struct {
	Schema      string             `json:"schema"`
	Vector      sweep.RegimeVector `json:"vector"`
	Tags        []string           `json:"tags"`
	Fingerprint string             `json:"fingerprint"`
}

type candidateView struct {
	TuneID         string             `json:"tune_id"`
	TrialIndex     int                `json:"trial_index"`
	Rank           int                `json:"rank"`
	Dataset        string             `json:"dataset"`
	Symbol         string             `json:"symbol"`
	Timeframe      string             `json:"timeframe"`
	ObjectiveType  string             `json:"objective_type"`
	Params         map[string]float64 `json:"params"`
	RegimeTags     []string           `json:"regime_tags"`
	Similarity     float64            `json:"similarity"`
	OOSSharpe      *float64           `json:"oos_sharpe"`
	ReturnPct      *float64           `json:"return_pct"`
	Calmar         *float64           `json:"calmar"`
	MaxDrawdownPct *float64           `json:"max_drawdown_pct"`
	Trades         int                `json:"trades"`
	OverfitGap     *float64           `json:"overfit_gap"` // of the Sharpe ratio
}

type rangeView struct {
	Low    float64 `json:"low"`
	Median float64 `json:"median"`
	High   float64 `json:"high"`
}

type recommendCounts struct {
	Considered int                    `json:"considered"`
	Admitted   int                    `json:"admitted"`
	RejectedBy map[knowledge.Axis]int `json:"rejected_by"`
}

type relaxationView struct {
	Axis   knowledge.Axis `json:"axis"`
	From   *float64       `json:"from"` // null on the axis timeframe
	To     *float64       `json:"to"`
	Admits int            `json:"admits"` // candidates that there would be then
}

// recommendTimings are milliseconds.
type recommendTimings struct {
	Regime    float64 `json:"regime"`
	Embed     float64 `json:"embed"`
	Qdrant    float64 `json:"qdrant"` // the vector search, whichever the index
	Rerank    float64 `json:"rerank"`
	Aggregate float64 `json:"aggregate"`
	Total     float64 `json:"total"`
}

// recommend handles POST /kb/recommend.
func (s *Server) recommend(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	start := time.Now()
	var req recommendRequest
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
	took := recommendTimings{Regime: milliseconds(time.Since(start))}
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
func (s *Server) noteRecommend(ctx context.Context, workspace uuid.UUID, req recommendRequest, want knowledge.Wanted, a *knowledge.Advice) (uuid.UUID, error) {
	run := recommend.NewMatchRun{
		Text:   fmt.Sprintf("parameters of %s in %s", want.Strategy, marketText(want.Regime.Tags)),
		Intent: knowledge.RecommendIntent(want.Strategy, want.Regime.Tags, want.Terms), Request: req,
		Status: a.Status, Confidence: &a.Confidence, Matches: len(a.Candidates), Best: a.BestScore,
	}
	if a.Status == knowledge.RecommendNone {
		run.Matches = 0 // too few to be told from luck
		run.Best = 0
	}
	if a.BasedOn != nil {
		run.CandidateType, run.CandidateID = recommend.CandidateTune, a.BasedOn.TuneID
	}
	return s.store.Recommend.RecordMatch(ctx, workspace, run)
}

// checkRecommend holds the request against its bounds and finds the regime that it asks about.
func (s *Server) checkRecommend(ctx context.Context, workspace uuid.UUID, req recommendRequest) (knowledge.Wanted, error) {
	want := knowledge.Wanted{Strategy: req.StrategyName, Question: req.Question, Rerank: req.Rerank, Terms: req.Floors.terms()}
	faults := req.faults()
	if err := fieldProblems(faults); err != nil {
		return want, err
	}
	if req.ObjectiveType != nil {
		want.Objective = string(*req.ObjectiveType)
	}
	if req.Regime != nil {
		want.Regime = sweep.RegimeOf(*req.Regime)
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

// faults lists what is wrong with the request itself.
func (r *recommendRequest) faults() []invalid.FieldError {
	var faults []invalid.FieldError
	fault := func(field, message string, limit any) {
		faults = append(faults, invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	if _, ok := backtest.Lookup(r.StrategyName); !ok {
		fault("strategy_name", fmt.Sprintf("%q is no strategy", r.StrategyName), nil)
	}
	switch {
	case (r.Dataset == "") == (r.Regime == nil):
		fault("dataset", "name either a dataset or a regime", nil)
	case r.Regime != nil:
		for i, value := range r.Regime.Values() {
			if math.IsNaN(value) || math.Abs(value) > 1e6 || value < 0 && i < 4 {
				fault("regime."+sweep.RegimeFeatures()[i], "is out of its range", 1e6)
			}
		}
	}
	if r.ObjectiveType != nil && !slices.Contains(sweep.Objectives(), *r.ObjectiveType) {
		fault("objective_type", fmt.Sprintf("%q is no objective", *r.ObjectiveType), sweep.Objectives())
	}
	if r.Timeframe != nil && len(*r.Timeframe) > 20 {
		fault("timeframe", "is longer than 20 characters", 20)
	}
	if r.Question != "" {
		if message := checkQuestion(&r.Question); message != "" {
			fault("question", message, knowledge.MaxQuestion)
		}
	}
	return append(faults, r.Floors.faults()...)
}

// bound is the range of a floor.
type bound struct {
	name      string
	value     *float64
	low, high float64
}

func (f recommendFloors) faults() []invalid.FieldError {
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

// terms are the floors with their defaults.
func (f recommendFloors) terms() knowledge.Terms {
	t := knowledge.DefaultTerms()
	for into, value := range map[*float64]*float64{
		&t.MinSharpe: f.MinOOSSharpe, &t.MinReturnPct: f.MinReturnPct, &t.MinCalmar: f.MinCalmar,
		&t.MaxDrawdownPct: f.MaxDrawdownPct, &t.MaxOverfitGap: f.MaxOverfitGap, &t.MinSimilarity: f.MinSimilarity,
	} {
		if value != nil {
			*into = *value
		}
	}
	if f.MinTrades != nil {
		t.MinTrades = *f.MinTrades
	}
	return t
}
