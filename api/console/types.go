package console

import (
	"strings"
	"time"

	"millrace/jobs/sweep"
)

// page of a list of the API.
type page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

// tune is a tune as the API answers it.
type tune struct {
	TuneID          string   `json:"tune_id"`
	Status          string   `json:"status"`
	Admitted        bool     `json:"admitted"`
	Datasets        []string `json:"datasets"`
	StrategyName    string   `json:"strategy_name"`
	SearchType      string   `json:"search_type"`
	ObjectiveType   string   `json:"objective_type"`
	NTrials         int      `json:"n_trials"`
	TrialsCompleted int      `json:"trials_completed"`
	Counts          struct {
		Queued, Running, Completed, Failed, Skipped int
	} `json:"counts"`
	BestTrial   *int           `json:"best_trial"`
	BestScore   *float64       `json:"best_score"`
	Leaderboard []sweep.Entry  `json:"leaderboard"`
	Gates       *sweep.Gates   `json:"gates"`
	Overfit     *sweep.Overfit `json:"overfit"`
	Warnings    []string       `json:"warnings"`
	Error       *string        `json:"error"`
	Spec        sweep.Spec     `json:"spec"`
	CreatedAt   time.Time      `json:"created_at"`
	StartedAt   *time.Time     `json:"started_at"`
	CompletedAt *time.Time     `json:"completed_at"`
	ETASeconds  *float64       `json:"eta_seconds"`
}

// Dataset names what the tune runs over.
func (t tune) Dataset() string { return strings.Join(t.Datasets, ", ") }

// Ended reports whether nothing more happens to the tune.
func (t tune) Ended() bool { return t.Status != "queued" && t.Status != "running" }

// dataset is a dataset as the API answers it.
type dataset struct {
	DatasetID string    `json:"dataset_id"`
	Name      string    `json:"name"`
	Symbol    string    `json:"symbol"`
	Timeframe string    `json:"timeframe"`
	Calendar  int       `json:"calendar"`
	Bars      int       `json:"bars"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	SHA256    string    `json:"sha256"`
	CreatedAt time.Time `json:"created_at"`
}

// pager leads from one page of a list to the next.
type pager struct {
	Here        bool // somewhere behind the first page
	First, Next string
}
