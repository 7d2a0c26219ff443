package types

import (
	"encoding/json"
	"time"
)

// EventPage is a piece of the log.
type EventPage struct {
	Items      []Event `json:"items"`
	NextCursor string  `json:"next_cursor"` // always there: ask again with it for what comes
}

// Event is an event as streams and lists show it.
type Event struct {
	Cursor      string          `json:"cursor"`
	Topic       string          `json:"topic"`
	Type        string          `json:"type"`
	WorkspaceID *string         `json:"workspace_id"`
	EntityID    string          `json:"entity_id"`
	At          time.Time       `json:"at"`
	Payload     json.RawMessage `json:"payload"`
}

// TuneProgress is the payload of backtest.tune.* events.
type TuneProgress struct {
	Status          TuneStatus `json:"status"`
	NTrials         int        `json:"n_trials"`
	TrialsCompleted int        `json:"trials_completed"`
	ShareDone       float64    `json:"share_done"` // of all work, permutations included: 0 to 1
	BestScore       *float64   `json:"best_score"`
	BestTrial       *int       `json:"best_trial"`
	ETASeconds      *float64   `json:"eta_seconds"`
	Error           string     `json:"error,omitempty"`
}

// WFOProgress is the payload of wfo.run.* events.
type WFOProgress struct {
	Status          WFOStatus `json:"status"`
	NFolds          int       `json:"n_folds"`
	FoldsDone       int       `json:"folds_done"`
	FoldsFailed     int       `json:"folds_failed"`
	FoldsScored     int       `json:"folds_scored"`
	NTrials         int       `json:"n_trials"` // of all folds that have not failed
	TrialsCompleted int       `json:"trials_completed"`
	ETASeconds      *float64  `json:"eta_seconds"`
	Error           string    `json:"error,omitempty"`
}

// IngestEvent is the payload of ingestion.job.* events.
type IngestEvent struct {
	Status        IngestStatus `json:"status"`
	SourceType    SourceType   `json:"source_type"`
	DocumentID    string       `json:"document_id"`
	DatasetID     *string      `json:"dataset_id,omitempty"`
	Name          string       `json:"name,omitempty"`
	Stage         string       `json:"stage"`
	Done          int          `json:"done"`
	Total         int          `json:"total"`
	Outcome       *string      `json:"outcome,omitempty"`
	Reason        *string      `json:"reason,omitempty"`
	Chunks        int          `json:"chunks"`
	NextAttemptAt *time.Time   `json:"next_attempt_at,omitempty"`
}
