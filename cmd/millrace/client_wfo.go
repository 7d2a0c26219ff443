package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// wfoBody is what the client sends to POST /backtests/wfo.
type wfoBody struct {
	tuneBody
	WFOConfig wfoConfigBody `json:"wfo_config"`
}

type wfoConfigBody struct {
	TrainDays       int        `json:"train_days"`
	TestDays        int        `json:"test_days"`
	StepDays        *int       `json:"step_days,omitempty"`
	MinFolds        *int       `json:"min_folds,omitempty"`
	LeaderboardTopK *int       `json:"leaderboard_top_k,omitempty"`
	AllowPartial    bool       `json:"allow_partial,omitempty"`
	Anchored        bool       `json:"anchored,omitempty"`
	StartTS         *time.Time `json:"start_ts,omitempty"`
	EndTS           *time.Time `json:"end_ts,omitempty"`
}

// wfoState is what the client shows of a walk-forward: its row, or the payload of one of its events.
type wfoState struct {
	WFOID           string         `json:"wfo_id"`
	Status          string         `json:"status"`
	StrategyName    string         `json:"strategy_name"`
	ObjectiveType   string         `json:"objective_type"`
	NFolds          int            `json:"n_folds"`
	FoldsDone       int            `json:"folds_done"`
	FoldsFailed     int            `json:"folds_failed"`
	NTrials         int            `json:"n_trials"`
	TrialsCompleted int            `json:"trials_completed"`
	ETASeconds      *float64       `json:"eta_seconds"`
	Folds           []wfoFold      `json:"folds"`
	Candidates      []wfoCandidate `json:"candidates"`
	Efficiency      *float64       `json:"walk_forward_efficiency"`
	OOS             *wfoStitched   `json:"oos"`
	Warnings        []string       `json:"warnings"`
	Error           *string        `json:"error"`
	raw             []byte
}

type wfoFold struct {
	Fold       int            `json:"fold"`
	Status     string         `json:"status"`
	TrainStart time.Time      `json:"train_start"`
	TestStart  time.Time      `json:"test_start"`
	TestEnd    time.Time      `json:"test_end"`
	ScoreIS    *float64       `json:"score_is"`
	ScoreOOS   *float64       `json:"score_oos"`
	MetricsOOS *leaderMetrics `json:"metrics_oos"`
}

type wfoCandidate struct {
	Rank           int                `json:"rank"`
	Params         map[string]float64 `json:"params"`
	Eligible       bool               `json:"eligible"`
	Coverage       float64            `json:"coverage"`
	SelectionScore float64            `json:"selection_score"`
	MeanOOS        float64            `json:"mean_oos"`
	MedianOOS      float64            `json:"median_oos"`
	WorstOOS       float64            `json:"worst_fold_oos"`
	StdDevOOS      float64            `json:"stddev_oos"`
}

type wfoStitched struct {
	Trades         int      `json:"trades"`
	ReturnPct      float64  `json:"return_pct"`
	MaxDrawdownPct float64  `json:"max_drawdown_pct"`
	Sharpe         *float64 `json:"sharpe"`
}

// ended reports whether the walk-forward will not change any more.
func (s *wfoState) ended() bool { return s.Status != "pending" && s.Status != "running" }

// progress is the state as the progress display takes it.
func (s *wfoState) progress() tuneState {
	note := fmt.Sprintf("  folds %d of %d", s.FoldsDone, s.NFolds)
	if s.FoldsFailed > 0 {
		note += fmt.Sprintf(" (%d failed)", s.FoldsFailed)
	}
	t := tuneState{Status: s.Status, NTrials: s.NTrials, TrialsCompleted: s.TrialsCompleted, note: note}
	if !s.ended() {
		t.ETASeconds = s.ETASeconds
	}
	return t
}

// submitWFO submits a walk-forward once, however often the request has to be sent.
func (c *client) submitWFO(ctx context.Context, key string, body wfoBody) (*wfoState, error) {
	raw, err := c.post(ctx, "/backtests/wfo", key, body)
	if err != nil {
		return nil, err
	}
	return readWFO(raw)
}

// wfo reads a walk-forward with its best candidates.
func (c *client) wfo(ctx context.Context, id string, candidates int) (*wfoState, error) {
	raw, err := c.get(ctx, fmt.Sprintf("/backtests/wfo/%s?candidates=%d", url.PathEscape(id), min(candidates, 1000)))
	if err != nil {
		return nil, err
	}
	return readWFO(raw)
}

func readWFO(raw []byte) (*wfoState, error) {
	s := &wfoState{raw: raw}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("read the walk-forward: %w", err)
	}
	if s.WFOID == "" {
		return nil, errors.New("the server at this address answered with something that is not a walk-forward")
	}
	return s, nil
}

// followWFO shows a walk-forward until it has ended, as follow does a tune.
func (c *client) followWFO(ctx context.Context, id string, candidates int, show progress) (*wfoState, error) {
	var now *wfoState
	refresh := func(ctx context.Context) error {
		s, err := c.wfo(ctx, id, candidates)
		if err != nil {
			return err
		}
		now = s
		show.update(s.progress())
		if s.ended() {
			return errStop
		}
		return nil
	}
	handle := func(e sseEvent) error {
		var event struct {
			Type     string   `json:"type"`
			EntityID string   `json:"entity_id"`
			Payload  wfoState `json:"payload"`
		}
		if err := json.Unmarshal(e.Data, &event); err != nil {
			return fmt.Errorf("read event %s: %w", e.ID, err)
		}
		if event.EntityID != id || now == nil || !strings.HasPrefix(event.Type, "wfo.run.") {
			return nil
		}
		if event.Payload.ended() {
			return refresh(ctx)
		}
		now.Status, now.NFolds, now.NTrials = event.Payload.Status, event.Payload.NFolds, event.Payload.NTrials
		now.FoldsDone, now.FoldsFailed = max(now.FoldsDone, event.Payload.FoldsDone), event.Payload.FoldsFailed
		now.TrialsCompleted, now.ETASeconds = event.Payload.TrialsCompleted, event.Payload.ETASeconds
		show.update(now.progress())
		return nil
	}
	defer show.done()
	if err := newEventStream(c, "wfo").Run(ctx, refresh, handle); err != nil {
		return nil, err
	}
	return now, nil
}
