package jobs

import (
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/robfig/cron/v3"
)

// PruneArgs run a retention job: for an admin, whose request made the log's entry, or else as the
// day's scheduled run.
type PruneArgs struct {
	Job   string `json:"job"`             // a job_name of retention_rules
	Entry int64  `json:"entry,omitempty"` // of retention_job_log
}

// Kind implements river.JobArgs.
func (PruneArgs) Kind() string { return "retention.prune" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (PruneArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueRetention, MaxAttempts: 3}
}

// Retention is a retention job: when it is run, by pg_cron or else by River, and how long what it deletes is kept.
type Retention struct {
	Name     string // job_name of retention_rules
	Schedule string // cron, UTC
	Days     int    // by default; 0: the row says itself until when
	Least    int    // days that an admin may ask for in one run
	Most     int
}

// Retentions are the retention jobs, as retention_rules has them, by their schedule. Run plans go before tunes, as their
// variants are tunes once they are gone.
func Retentions() []Retention {
	return []Retention{
		{"trade_events", "15 3 * * *", 90, 1, 365},
		{"job_runs", "20 3 * * *", 30, 1, 365},
		{"match_runs", "25 3 * * *", 180, 1, 730},
		{"idempotency_keys", "30 3 * * *", 0, 1, 365},
		{"job_events", "35 3 * * *", 7, 1, 365},
		{"tune_trials", "40 3 * * *", 180, 1, 3650},
		{"run_plans", "41 3 * * *", 1095, 1, 3650},
		{"walk_forwards", "43 3 * * *", 1095, 1, 3650},
		{"tunes", "44 3 * * *", 1095, 1, 3650},
		{"backtest_runs", "46 3 * * *", 365, 1, 3650},
		{"retention_log", "47 3 * * *", 365, 30, 3650},
		{"ingestions", "49 3 * * *", 180, 1, 3650},
		{"reembeddings", "50 3 * * *", 365, 1, 3650},
		{"open_gaps", "52 3 * * *", 730, 1, 3650},
		{"deletions", "53 3 * * *", 90, 1, 3650},
		{"api_keys", "55 3 * * *", 365, 1, 3650},
		{"admin_tokens", "56 3 * * *", 365, 1, 3650},
		{"erased_scripts", "58 3 * * *", 30, 1, 3650},
		{"audit_log", "59 3 * * *", 1095, 90, 3650}, // audit_forget keeps 90 days whatever it is asked
	}
}

// RetentionOf finds a retention job by its name.
func RetentionOf(name string) (Retention, bool) {
	for _, job := range Retentions() {
		if job.Name == name {
			return job, true
		}
	}
	return Retention{}, false
}

// Schedule reads a cron expression of five fields, in UTC whatever the time zone of the machine.
func Schedule(expression string) (river.PeriodicSchedule, error) {
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", expression, err)
	}
	return utcSchedule{schedule}, nil
}

type utcSchedule struct{ cron.Schedule }

// Next implements river.PeriodicSchedule.
func (s utcSchedule) Next(after time.Time) time.Time { return s.Schedule.Next(after.UTC()) }
