package types

import (
	"time"
)

// Fold is a fold; its windows are half-open.
type Fold struct {
	Fold       int                 `json:"fold"`
	Status     FoldStatus          `json:"status"`
	TrainStart time.Time           `json:"train_start"`
	TrainEnd   time.Time           `json:"train_end"`
	TestStart  time.Time           `json:"test_start"`
	TestEnd    time.Time           `json:"test_end"`
	TrainBars  int                 `json:"train_bars"`
	TestBars   int                 `json:"test_bars"`
	TuneID     *string             `json:"tune_id"` // null when it cannot be run
	Params     *map[string]float64 `json:"params"`  // chosen in training
	ScoreIS    *float64            `json:"score_is"`
	ScoreOOS   *float64            `json:"score_oos"`
	MetricsIS  *Metrics            `json:"metrics_is"`
	MetricsOOS *Metrics            `json:"metrics_oos"`
	Error      *string             `json:"error"`
}

// WFO is a walk-forward.
type WFO struct {
	WFOID           string              `json:"wfo_id"`
	Status          WFOStatus           `json:"status"`
	Admitted        bool                `json:"admitted"`
	Dataset         string              `json:"dataset"`
	StrategyName    string              `json:"strategy_name"`
	SearchType      SearchType          `json:"search_type"`
	ObjectiveType   Objective           `json:"objective_type"`
	WFOConfig       WFOConfig           `json:"wfo_config"`
	NFolds          int                 `json:"n_folds"`
	FoldsDone       int                 `json:"folds_done"`
	FoldsFailed     int                 `json:"folds_failed"`
	NTrials         int                 `json:"n_trials"` // of all folds that have not failed
	TrialsCompleted int                 `json:"trials_completed"`
	NCandidates     *int                `json:"n_candidates"`
	NEligible       *int                `json:"n_eligible"`
	BestParams      *map[string]float64 `json:"best_params"`
	BestScore       *float64            `json:"best_score"` // selection score
	Candidates      []Stored[Candidate] `json:"candidates"`
	Folds           []Fold              `json:"folds"`
	OOS             *Stitched           `json:"oos"`
	Equity          []Equity            `json:"oos_equity"` // stitched, thinned to 500 points
	Efficiency      *float64            `json:"walk_forward_efficiency"`
	Evidence        Stored[*Evidence]   `json:"evidence"` // the verdict on what the folds chose, from the stitched returns; null until completed
	Undefined       map[string]string   `json:"undefined,omitempty"`
	Warnings        []string            `json:"warnings"`
	Error           *string             `json:"error"`
	Spec            Spec                `json:"spec"`
	CreatedAt       time.Time           `json:"created_at"`
	StartedAt       *time.Time          `json:"started_at"`
	CompletedAt     *time.Time          `json:"completed_at"`
	ETASeconds      *float64            `json:"eta_seconds"`
}
