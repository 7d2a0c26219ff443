package types

import "time"

// WorkspaceDeletion is a workspace that was deleted, or with DryRun one that would be: nobody sees it, its keys and
// streams have ended, and a job takes its rows away. The record stays.
type WorkspaceDeletion struct {
	WorkspaceID string             `json:"workspace_id"`
	Name        string             `json:"name"`
	DryRun      bool               `json:"dry_run"`
	Contents    []WorkspaceContent `json:"contents,omitempty"`    // of a dry run: what there is of each kind
	ActiveJobs  int64              `json:"active_jobs,omitempty"` // of a dry run: jobs that have not ended, which are cancelled
	TotalRows   int64              `json:"total_rows,omitempty"`  // of a dry run
	TotalBytes  int64              `json:"total_bytes,omitempty"` // of a dry run
	DeletedBy   string             `json:"deleted_by,omitempty"`  // the admin
	Status      DeletionStatus     `json:"status,omitempty"`      // left out of a dry run
	RowsDeleted int64              `json:"rows_deleted"`
	Error       string             `json:"error,omitempty"`
	CreatedAt   *time.Time         `json:"created_at,omitempty"`
	StartedAt   *time.Time         `json:"started_at,omitempty"`
	CompletedAt *time.Time         `json:"completed_at,omitempty"`
}

// WorkspaceContent is what a workspace has of a kind.
type WorkspaceContent struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
	Rows  int64  `json:"rows"`  // with their parts, as the shards of tunes
	Bytes int64  `json:"bytes"` // as they are stored, without indexes
}
