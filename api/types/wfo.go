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
	Datasets   []FoldDataset       `json:"datasets,omitempty"` // of several: the figures above are their aggregate, train_bars and test_bars the fewest
}

// FoldDataset is one of several datasets in a fold.
type FoldDataset struct {
	Dataset    string   `json:"dataset"`
	TrainBars  int      `json:"train_bars"`
	TestBars   int      `json:"test_bars"`
	ScoreIS    *float64 `json:"score_is"` // of what the fold chose
	ScoreOOS   *float64 `json:"score_oos"`
	MetricsIS  *Metrics `json:"metrics_is"`
	MetricsOOS *Metrics `json:"metrics_oos"`
}

// DatasetWalk is what the folds' choices did on one of several datasets, with an account of its own.
type DatasetWalk struct {
	Dataset string    `json:"dataset"`
	From    time.Time `json:"from"` // first bar of the first test window
	To      time.Time `json:"to"`   // last bar of the last one
	OOS     Stitched  `json:"oos"`
	Earned  int       `json:"folds_earned"` // folds whose choice earned something on this dataset
	Chosen  int       `json:"folds_chosen"` // folds that chose parameters
}

// WFO is a walk-forward.
type WFO struct {
	WFOID           string              `json:"wfo_id"`
	Status          WFOStatus           `json:"status"`
	Admitted        bool                `json:"admitted"`
	Dataset         string              `json:"dataset"`  // the first of several
	Datasets        []string            `json:"datasets"` // all of them
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
	OOS             *Stitched           `json:"oos"`                  // of several datasets: of the account that has an equal part in each
	ByDataset       []DatasetWalk       `json:"by_dataset,omitempty"` // of several: each by itself
	Equity          []Equity            `json:"oos_equity"`           // stitched, thinned to 500 points
	Efficiency      *float64            `json:"walk_forward_efficiency"`
	Evidence        Stored[*Evidence]   `json:"evidence"` // the verdict on what the folds chose, from the stitched returns; null until completed
	Undefined       map[string]string   `json:"undefined,omitempty"`
	Warnings        []string            `json:"warnings"`
	Error           *string             `json:"error"`
	Spec            Spec                `json:"spec"`
	CreatedAt       time.Time           `json:"created_at"`
	StartedAt       *time.Time          `json:"started_at"`
	CompletedAt     *time.Time          `json:"completed_at"`
	ArchivedAt      *time.Time          `json:"archived_at"` // null: it is in the lists
	Retries         int                 `json:"retries"`     // how often it was taken up again after it had failed or was cancelled
	Retryable       bool                `json:"retryable"`   // whether taking it up again can help: it failed or was cancelled, and not of its own input
	ETASeconds      *float64            `json:"eta_seconds"`
}
