package types

import "time"

// Deletion is what was accepted for deletion, or with DryRun what would be: what it takes away is seen by nobody, and
// a job deletes its rows.
type Deletion struct {
	DeletionID      string         `json:"deletion_id,omitempty"` // left out of a dry run
	DryRun          bool           `json:"dry_run"`
	Kind            string         `json:"kind"`             // tune, wfo, run_plan, run, dataset, document or strategy
	ID              string         `json:"id,omitempty"`     // of what was named; left out of what a filter found
	Status          DeletionStatus `json:"status,omitempty"` // left out of a dry run
	Items           int            `json:"items"`            // things that go
	ItemsDone       int            `json:"items_done"`
	RowsDeleted     int64          `json:"rows_deleted"`
	Deletes         map[string]int `json:"deletes,omitempty"`          // of a dry run: things of each kind that go, the dependants among them
	Dependants      []Dependant    `json:"dependants,omitempty"`       // of a dry run: the first 100 that cannot be without it
	DependantsTotal int            `json:"dependants_total,omitempty"` // of a dry run
	Active          []Dependant    `json:"active,omitempty"`           // of a dry run: the first 100 of it all that have not ended
	ActiveTotal     int            `json:"active_total,omitempty"`     // of a dry run
	Error           string         `json:"error,omitempty"`
	CreatedAt       *time.Time     `json:"created_at,omitempty"`
	StartedAt       *time.Time     `json:"started_at,omitempty"`
	CompletedAt     *time.Time     `json:"completed_at,omitempty"`
}

// Dependant is something that depends on what is to be deleted, or has not ended.
type Dependant struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Name   string `json:"name"` // of a dataset or run plan; else the strategy's
	Status string `json:"status,omitempty"`
}

// DeletionStatus is where a deletion is: queued, running, completed or failed.
type DeletionStatus string

// Ended reports whether nothing more happens to the deletion, unless it is asked for again.
func (s DeletionStatus) Ended() bool { return s == "completed" || s == "failed" }

// Archived says whether lists leave something out.
type Archived struct {
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	Archived bool   `json:"archived"`
}

// BulkRequest is the body of POST /bulk: one action on all that a filter finds.
type BulkRequest struct {
	Kind    string     `json:"kind"`   // tune, wfo, run_plan or run
	Action  string     `json:"action"` // cancel, retry, delete, archive, restore, tag or untag
	Filter  BulkFilter `json:"filter"`
	Tags    []string   `json:"tags"`    // of tag and untag
	Cascade bool       `json:"cascade"` // of delete: what depends on it goes too, and what has not ended is cancelled
	DryRun  bool       `json:"dry_run"` // answer how many it would touch, and change nothing
	Confirm *int       `json:"confirm"` // how many it is to touch; with another number nothing is changed
}

// BulkFilter finds things of a kind; what is left out does not narrow. Folds of walk-forwards are not found.
type BulkFilter struct {
	Status    string   `json:"status"`
	Strategy  string   `json:"strategy"` // of a run plan: its name
	Tag       string   `json:"tag"`
	Q         string   `json:"q"`          // every word of it is in name, note, tags, strategy or id
	OlderThan string   `json:"older_than"` // made longer ago, such as 30d or 12h
	Archived  *bool    `json:"archived"`   // null: both
	IDs       []string `json:"ids"`        // of these only; at most 10,000
}

// BulkResult is what became of it.
type BulkResult struct {
	Kind        string   `json:"kind"`
	Action      string   `json:"action"`
	DryRun      bool     `json:"dry_run"`
	Matched     int      `json:"matched"`
	Changed     int      `json:"changed"`                // what others had ended or deleted meanwhile is not among them
	IDs         []string `json:"ids,omitempty"`          // of a dry run: the first 20
	DeletionIDs []string `json:"deletion_ids,omitempty"` // of delete
}
