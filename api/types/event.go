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

// Event is an event as streams and lists show it. Its type says what the payload is: newer servers have further
// types, which readers pass over.
type Event struct {
	Cursor      string          `json:"cursor"`
	Topic       string          `json:"topic"`
	Type        string          `json:"type"`
	WorkspaceID *string         `json:"workspace_id"` // null: the event is the fleet's
	EntityID    string          `json:"entity_id"`
	At          time.Time       `json:"at"`
	Payload     json.RawMessage `json:"payload"`
}

// StreamReport is what a stream reports on itself, beside the events of the log.
type StreamReport struct {
	Type   string `json:"type"`   // reset: events were missed for good, read the state again; cursor: the reader has all up to here; end: nothing more comes
	Cursor string `json:"cursor"` // where to continue
}

// WebhookMessage is the body that a webhook posts for an event.
type WebhookMessage struct {
	Type      string    `json:"type"`      // that of the event
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      Event     `json:"data"`      // the event, as the stream has it
}

// WebhookNote is the body of what a webhook posts that is not of an event.
type WebhookNote struct {
	Type      string          `json:"type"`      // webhook.test, or webhook.reset: events were lost to it, read the state again
	Timestamp time.Time       `json:"timestamp"` // when it was made
	Data      WebhookNoteData `json:"data"`
}

// WebhookNoteData says which webhook a note is of.
type WebhookNoteData struct {
	WebhookID   string `json:"webhook_id"`
	WorkspaceID string `json:"workspace_id"`
	Message     string `json:"message"` // in words
}

// WebhookHeaders are those of every message, by the Standard Webhooks scheme.
type WebhookHeaders struct {
	ID        string `json:"webhook-id"`        // of the message; the same when it is sent again
	Timestamp string `json:"webhook-timestamp"` // when it was sent, in seconds since 1970
	Signature string `json:"webhook-signature"` // one or several, separated by spaces: any one that fits suffices
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

// RunPlanProgress is the payload of backtest.run_plan.* events.
type RunPlanProgress struct {
	Status         RunPlanStatus `json:"status"`
	NVariants      int           `json:"n_variants"`      // how many there are
	VariantsDone   int           `json:"variants_done"`   // how many have ended
	VariantsFailed int           `json:"variants_failed"` // how many of them have not completed
}

// StrategyFinding is the payload of backtest.strategy.* events.
type StrategyFinding struct {
	Status StrategyStatus `json:"status"` // what the examination of a version of a script found
}

// NewVersion is the payload of backtest.dataset.version events.
type NewVersion struct {
	Name    string        `json:"name"`
	Version int           `json:"version"`
	Change  VersionChange `json:"change"` // how it came to be
	Bars    int           `json:"bars"`
	Added   int           `json:"added_bars"` // how many the version before does not have
	From    time.Time     `json:"from"`
	To      time.Time     `json:"to"`
	SHA256  string        `json:"sha256"`
	Note    string        `json:"note,omitempty"`
	Stale   int           `json:"stale_results"` // results on versions before it, whose bars it has rewritten
}

// FoldProgress is the payload of wfo.fold.* events.
type FoldProgress struct {
	Fold      int        `json:"fold"`
	Status    FoldStatus `json:"status"`
	TuneID    *string    `json:"tune_id"`    // null: the fold cannot be run
	BestScore *float64   `json:"best_score"` // in training
	Error     string     `json:"error,omitempty"`
}

// ReembedProgress is the payload of ingestion.reembed.* events.
type ReembedProgress struct {
	Status     ReembedStatus `json:"status"`
	Model      string        `json:"model"`      // that the workspace moves to
	Collection string        `json:"collection"` // of the model's vectors
	Done       int           `json:"done"`       // passages embedded
	Total      int           `json:"total"`      // passages there are
	Reason     *string       `json:"reason"`     // why it failed; null otherwise
}

// GapState is the payload of coverage.weak_run.* events.
type GapState struct {
	Kind        string    `json:"kind"`            // of the request: recommend or query
	Intent      string    `json:"intent"`          // signature of the request
	Status      GapStatus `json:"coverage_status"` // what was done about it
	Priority    float64   `json:"priority"`        // 0 to 1
	Seen        int       `json:"seen"`            // how often it was asked
	ReasonCodes []string  `json:"reason_codes"`
	Resolution  *string   `json:"resolution"`  // in words; null while it is open
	ResolvedBy  *string   `json:"resolved_by"` // who, or system; null while it is open
}

// KeyEnd is the payload of key.* events.
type KeyEnd struct {
	Name      string    `json:"name"` // of the key
	Role      Role      `json:"role"`
	ExpiresAt time.Time `json:"expires_at"` // from when on it is refused
	Days      int       `json:"days"`       // of the thresholds 14, 3 and 1, the one that is reached; 0: it has ended
}

// DeletionReport is the payload of *.deleting and *.deleted events.
type DeletionReport struct {
	DeletionID string `json:"deletion_id"`
}

// DocumentReport is the payload of ingestion.document.* events: it has no members.
type DocumentReport struct{}

// RetentionReport is the payload of retention.prune.* events.
type RetentionReport struct {
	JobName     string     `json:"job_name"` // which retention job
	Source      string     `json:"source"`   // what started it: river, pg_cron, admin or sql
	DryRun      bool       `json:"dry_run"`
	CutoffTS    *time.Time `json:"cutoff_ts"` // what is older goes
	RowsDeleted int64      `json:"rows_deleted"`
	OK          *bool      `json:"ok"` // null while it runs
	Error       *string    `json:"error"`
}

// WorkspaceReport is the payload of workspace.* events.
type WorkspaceReport struct {
	Name string `json:"name"` // that the workspace had
}

// JobChange is the payload of job.* events: a job is one step of a tune, an ingestion or the like.
type JobChange struct {
	Kind    string   `json:"kind"`           // of the job, such as tune.shard
	Queue   string   `json:"queue"`          // that it is in
	Attempt int      `json:"attempt"`        // from 1 when it has begun
	From    JobState `json:"from,omitempty"` // where it was before; left out of a job that was inserted
}

// JobRefusal is the payload of zombie.refused events: an attempt that held its job no longer would have ended it.
type JobRefusal struct {
	Kind    string   `json:"kind"`
	Queue   string   `json:"queue"`
	Attempt int      `json:"attempt"`
	Wanted  JobState `json:"wanted"` // where the attempt would have put the job
	By      *string  `json:"by"`     // the process; null when it is not known
}
