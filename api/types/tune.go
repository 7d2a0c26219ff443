package types

import (
	"time"
)

// Standing is an entry of the workspace's leaderboard.
type Standing struct {
	TuneID       string        `json:"tune_id"`
	Dataset      string        `json:"dataset"`  // the first
	Datasets     []string      `json:"datasets"` // all of them
	StrategyName string        `json:"strategy_name"`
	Score        float64       `json:"score"`
	RankInTune   int           `json:"rank_in_tune"`
	Entry        Stored[Entry] `json:"entry"`
}

// TuneCounts are a tune's trials by status.
type TuneCounts struct {
	Queued    int `json:"queued"`
	Running   int `json:"running"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
}

// Tune is a tune.
type Tune struct {
	TuneID          string     `json:"tune_id"`
	Status          TuneStatus `json:"status"`
	Admitted        bool       `json:"admitted"`
	Dataset         string     `json:"dataset"`  // the first
	Datasets        []string   `json:"datasets"` // all of them
	StrategyName    string     `json:"strategy_name"`
	SearchType      SearchType `json:"search_type"`
	ObjectiveType   Objective  `json:"objective_type"`
	NTrials         int        `json:"n_trials"`
	TrialsCompleted int        `json:"trials_completed"`
	// ShareDone is how much of all work is done, from 0 to 1: permutations run when all trials have ended.
	ShareDone float64 `json:"share_done"`
	// PermutationTrials is the cost of the permutation test: trials that run beside those counted above; 0 without.
	PermutationTrials int                         `json:"permutation_trials"`
	Counts            TuneCounts                  `json:"counts"`
	BestTrial         *int                        `json:"best_trial"`
	BestParams        Stored[*map[string]float64] `json:"best_params"`
	BestScore         *float64                    `json:"best_score"`
	Leaderboard       []Stored[Entry]             `json:"leaderboard"`
	Gates             Stored[*Gates]              `json:"gates"`
	Overfit           Stored[*Overfit]            `json:"overfit"`
	Evidence          Stored[*Evidence]           `json:"evidence"` // null until it is collected, and of a fold
	Pruning           Stored[[]Rung]              `json:"pruning,omitzero"`
	Reasons           Stored[*map[string]int]     `json:"reasons"` // why trials are not on the leaderboard, and how many; null until completed
	Regime            *Regime                     `json:"regime"`
	Warnings          []string                    `json:"warnings"`
	Error             *string                     `json:"error"`
	Spec              Spec                        `json:"spec"`
	CreatedAt         time.Time                   `json:"created_at"`
	StartedAt         *time.Time                  `json:"started_at"`
	CompletedAt       *time.Time                  `json:"completed_at"`
	ETASeconds        *float64                    `json:"eta_seconds"`
	TrialsDroppedAt   *time.Time                  `json:"trials_dropped_at"` // when retention dropped its trials; null: they are there
	ArchivedAt        *time.Time                  `json:"archived_at"`       // null: it is in the lists
	Retries           int                         `json:"retries"`           // how often it was taken up again after it had failed or was cancelled
	Retryable         bool                        `json:"retryable"`         // whether taking it up again can help: it failed or was cancelled, and not of its own input
	WFOID             *string                     `json:"wfo_id"`            // of the walk-forward whose fold it is
	Fold              *int                        `json:"fold"`
}
