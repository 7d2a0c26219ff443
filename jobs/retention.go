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

// PruneSchedules are when each retention job is run, by pg_cron or else by River: the schedule column
// of retention_rules.
func PruneSchedules() map[string]string {
	return map[string]string{
		"trade_events":     "15 3 * * *",
		"job_runs":         "20 3 * * *",
		"match_runs":       "25 3 * * *",
		"idempotency_keys": "30 3 * * *",
		"job_events":       "35 3 * * *",
	}
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
