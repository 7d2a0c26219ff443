package types

import (
	"time"
)

// PruneRequest is the body of POST /admin/retention/prune/:job. A body that says nothing asks for a
// dry run: nothing is deleted by accident.
type PruneRequest struct {
	Days      *int  `json:"days"`
	BatchSize *int  `json:"batch_size"`
	DryRun    *bool `json:"dry_run"`
}

// RetentionRun is an entry of the retention log.
type RetentionRun struct {
	JobLogID     int64      `json:"job_log_id"`
	JobName      string     `json:"job_name"`
	Status       string     `json:"status"`
	Source       string     `json:"source"`
	DryRun       bool       `json:"dry_run"`
	BatchSize    int        `json:"batch_size"`
	CutoffTS     *time.Time `json:"cutoff_ts"`
	DeletedCount int64      `json:"deleted_count"`
	Batches      int        `json:"batches"`
	LongestMS    float64    `json:"longest_transaction_ms"`
	QueuedAt     time.Time  `json:"queued_at"`
	StartedAt    *time.Time `json:"started_at"`
	FinishedAt   *time.Time `json:"finished_at"`
	OK           *bool      `json:"ok"`
	Error        *string    `json:"error"`
}

// RetentionJob is a retention job.
type RetentionJob struct {
	JobName             string     `json:"job_name"`
	Table               string     `json:"table"`
	TableBytes          int64      `json:"table_bytes"`
	Schedule            string     `json:"schedule"`
	NextRunAt           time.Time  `json:"next_run_at"`
	KeepDays            float64    `json:"keep_days"`
	Running             bool       `json:"running"`
	LastRunAt           *time.Time `json:"last_run_at"`
	LastOKAt            *time.Time `json:"last_ok_at"`
	LastDeletedCount    *int64     `json:"last_deleted_count"`
	LastError           *string    `json:"last_error"`
	ConsecutiveFailures int        `json:"consecutive_failures"`
}

// Retention are the retention jobs, and what schedules them: pg_cron or river.
type Retention struct {
	Scheduler string         `json:"scheduler"`
	Jobs      []RetentionJob `json:"jobs"`
}
