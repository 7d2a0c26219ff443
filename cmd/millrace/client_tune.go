package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"millrace/jobs/sweep"
)

// tuneBody is what the client sends to POST /backtests/tune; the server fills in what is absent.
type tuneBody struct {
	Dataset       string                 `json:"dataset,omitempty"`
	Datasets      []string               `json:"datasets,omitempty"`
	Aggregate     string                 `json:"aggregate,omitempty"`
	StrategyName  string                 `json:"strategy_name"`
	Side          string                 `json:"side,omitempty"`
	SearchType    string                 `json:"search_type,omitempty"`
	NTrials       *int                   `json:"n_trials,omitempty"`
	Seed          *uint64                `json:"seed,omitempty"`
	ParamSpace    map[string]sweep.Range `json:"param_space"`
	Constraints   []string               `json:"constraints,omitempty"`
	ObjectiveType string                 `json:"objective_type,omitempty"`
	OOSRatio      *float64               `json:"oos_ratio,omitempty"`
	Gates         *gatesBody             `json:"gates,omitempty"`
	Pruning       *sweep.Pruning         `json:"pruning,omitempty"`
	Account       *accountBody           `json:"account,omitempty"`
}

// accountBody has a fraction or the name of a preset.
type accountBody struct {
	Commission any `json:"commission"`
}

type gatesBody struct {
	MaxDrawdownPct *float64 `json:"max_drawdown_pct,omitempty"`
	MinTrades      *int     `json:"min_trades,omitempty"`
}

// tuneState is what the client shows of a tune: its row, or the payload of one of its events.
type tuneState struct {
	TuneID          string          `json:"tune_id"`
	Status          string          `json:"status"`
	StrategyName    string          `json:"strategy_name"`
	ObjectiveType   string          `json:"objective_type"`
	NTrials         int             `json:"n_trials"`
	TrialsCompleted int             `json:"trials_completed"`
	Counts          map[string]int  `json:"counts"`
	BestScore       *float64        `json:"best_score"`
	ETASeconds      *float64        `json:"eta_seconds"`
	Leaderboard     []leader        `json:"leaderboard"`
	Overfit         *overfitFigures `json:"overfit"`
	Warnings        []string        `json:"warnings"`
	Error           *string         `json:"error"`
	raw             []byte          // the answer as it came
	note            string          // more to say beside the progress
}

type leader struct {
	Rank       int                `json:"rank"`
	TrialIndex int                `json:"trial_index"`
	Params     map[string]float64 `json:"params"`
	Score      *float64           `json:"score"`
	ScoreIS    *float64           `json:"score_is"`
	ScoreOOS   *float64           `json:"score_oos"`
	OverfitGap *float64           `json:"overfit_gap"`
	MetricsIS  *leaderMetrics     `json:"metrics_is"`
	MetricsOOS *leaderMetrics     `json:"metrics_oos"`
}

type leaderMetrics struct {
	ReturnPct      *float64 `json:"return_pct"`
	MaxDrawdownPct *float64 `json:"max_drawdown_pct"`
	Trades         int      `json:"trades"`
}

type overfitFigures struct {
	PSR       *float64 `json:"psr"`
	DSR       *float64 `json:"dsr"`
	PBO       *float64 `json:"pbo"`
	Stability *float64 `json:"stability"`
}

// ended reports whether the tune will not change any more.
func (t *tuneState) ended() bool {
	switch t.Status {
	case "completed", "failed", "canceled":
		return true
	}
	return false
}

// submitTune submits a tune once, however often the request has to be sent.
func (c *client) submitTune(ctx context.Context, key string, body tuneBody) (*tuneState, error) {
	raw, err := c.post(ctx, "/backtests/tune", key, body)
	if err != nil {
		return nil, err
	}
	return readTune(raw)
}

// tune reads a tune.
func (c *client) tune(ctx context.Context, id string) (*tuneState, error) {
	raw, err := c.get(ctx, "/backtests/tunes/"+url.PathEscape(id))
	if err != nil {
		return nil, err
	}
	return readTune(raw)
}

func readTune(raw []byte) (*tuneState, error) {
	t := &tuneState{raw: raw}
	if err := json.Unmarshal(raw, t); err != nil {
		return nil, fmt.Errorf("read the tune: %w", err)
	}
	if t.TuneID == "" {
		return nil, fmt.Errorf("the server at this address answered with something that is not a tune")
	}
	return t, nil
}

// tuneEvent is the data of an event about a tune.
type tuneEvent struct {
	Type     string    `json:"type"`
	EntityID string    `json:"entity_id"`
	Payload  tuneState `json:"payload"`
}

// follow shows a tune until it has ended, and returns it as it is then. It starts from the tune's
// row and goes on with its events; whenever the stream had to be opened again, the row is read
// again, so nothing that happened in between is missed.
func (c *client) follow(ctx context.Context, id string, show progress) (*tuneState, error) {
	var now *tuneState
	refresh := func(ctx context.Context) error {
		t, err := c.tune(ctx, id)
		if err != nil {
			return err
		}
		now = t
		show.update(*t)
		if t.ended() {
			return errStop
		}
		return nil
	}
	handle := func(e sseEvent) error {
		var event tuneEvent
		if err := json.Unmarshal(e.Data, &event); err != nil {
			return fmt.Errorf("read event %s: %w", e.ID, err)
		}
		if event.EntityID != id || now == nil {
			return nil
		}
		if event.Payload.ended() {
			return refresh(ctx)
		}
		merged := *now
		merged.Status = event.Payload.Status
		merged.NTrials = max(merged.NTrials, event.Payload.NTrials)
		merged.TrialsCompleted = max(merged.TrialsCompleted, event.Payload.TrialsCompleted)
		if event.Payload.BestScore != nil {
			merged.BestScore = event.Payload.BestScore
		}
		merged.ETASeconds = event.Payload.ETASeconds
		now = &merged
		show.update(merged)
		return nil
	}
	defer show.done()
	if err := newEventStream(c, "backtests").Run(ctx, refresh, handle); err != nil {
		return nil, err
	}
	return now, nil
}
