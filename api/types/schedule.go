package types

import "time"

// ScheduleKind is what a schedule submits.
type ScheduleKind string

// The kinds of schedules.
const (
	ScheduleTune      ScheduleKind = "tune"
	ScheduleWFO       ScheduleKind = "wfo"
	ScheduleIngestion ScheduleKind = "ingestion"
)

// MissedPolicy is what becomes of slots that went by while nothing could run: skip leaves them out, once has the newest
// stand for all, all makes up for each, at most for the newest 100.
type MissedPolicy string

// The policies for missed slots.
const (
	MissedSkip MissedPolicy = "skip"
	MissedOnce MissedPolicy = "once"
	MissedAll  MissedPolicy = "all"
)

// SlotCause is why a slot is there.
type SlotCause string

// SlotState is where a slot is.
type SlotState string

// The states of a slot.
const (
	SlotDue       SlotState = "due"
	SlotRunning   SlotState = "running"
	SlotCompleted SlotState = "completed"
	SlotFailed    SlotState = "failed"
	SlotCanceled  SlotState = "canceled"
	SlotSkipped   SlotState = "skipped"
)

// ScheduleBody is the body of POST /schedules: what to submit, and either a cron line or the dataset whose new
// versions run it.
type ScheduleBody struct {
	Name      string                 `json:"name"` // of the schedule, once in the workspace
	Kind      ScheduleKind           `json:"kind"`
	Request   Stored[map[string]any] `json:"request"`                 // body of POST /backtests/tune, POST /backtests/wfo, or POST /ingest with a url
	Cron      string                 `json:"cron,omitempty"`          // minute, hour, day of month, month and day of week, as in 30 6 * * 1-5
	TimeZone  string                 `json:"time_zone,omitempty"`     // of the cron line; default UTC
	OnNewBars string                 `json:"on_new_bars,omitempty"`   // name of a dataset, in place of cron
	Missed    MissedPolicy           `json:"missed_policy,omitempty"` // default once
	Paused    bool                   `json:"paused,omitempty"`        // it waits to be resumed
}

// ScheduleChange is the body of PATCH /schedules/{id}: what it names changes.
type ScheduleChange struct {
	Name     *string       `json:"name,omitempty"`
	Cron     *string       `json:"cron,omitempty"` // of a schedule that has one
	TimeZone *string       `json:"time_zone,omitempty"`
	Missed   *MissedPolicy `json:"missed_policy,omitempty"`
	Paused   *bool         `json:"paused,omitempty"` // true pauses, false resumes: what a pause has missed is not made up for
}

// Schedule is work that is submitted again and again.
type Schedule struct {
	ScheduleID string                 `json:"schedule_id"`
	Name       string                 `json:"name"`
	Kind       ScheduleKind           `json:"kind"`
	Request    Stored[map[string]any] `json:"request"`       // the body that is submitted
	Cron       *string                `json:"cron"`          // null: at new bars
	TimeZone   string                 `json:"time_zone"`     // of the cron line
	OnNewBars  *string                `json:"on_new_bars"`   // name of the dataset whose new versions run it
	Missed     MissedPolicy           `json:"missed_policy"` // what becomes of missed slots
	Paused     bool                   `json:"paused"`
	NextAt     *time.Time             `json:"next_at"`              // null while nothing is to come
	Failures   int                    `json:"consecutive_failures"` // runs in a row that have failed
	Failing    bool                   `json:"failing"`              // the last three runs, or more, have failed
	Last       *ScheduleSlot          `json:"last"`                 // the newest run; null before the first
	CreatedBy  string                 `json:"created_by"`           // name of the key or admin
	CreatedAt  time.Time              `json:"created_at"`
}

// ScheduleSlot is one time that a schedule was to run, or a gap of several that were missed.
type ScheduleSlot struct {
	SlotID       string               `json:"slot_id"`
	ScheduleID   string               `json:"schedule_id"`
	Cause        SlotCause            `json:"cause"`
	SlotAt       time.Time            `json:"slot_at"`    // of a gap its last slot
	FirstAt      time.Time            `json:"first_at"`   // of a gap its first slot
	Slots        int                  `json:"slots"`      // how many a gap stands for; otherwise 1
	DatasetID    *string              `json:"dataset_id"` // the new version that ran it
	State        SlotState            `json:"state"`
	Reason       *string              `json:"reason"`    // why it failed or was skipped
	ResultID     *string              `json:"result_id"` // id of the tune, walk-forward or ingestion
	Result       *ScheduleResult      `json:"result"`
	Changes      []ScheduleDifference `json:"changes"`       // against the result before; empty where nothing changed, and without one
	ComparedWith *string              `json:"compared_with"` // slot of the result before; null without one
	CreatedAt    time.Time            `json:"created_at"`
	EndedAt      *time.Time           `json:"ended_at"` // null before
}

// ScheduleResult is what of a result is compared; it is kept when the result is deleted.
type ScheduleResult struct {
	Dataset string              `json:"dataset"` // with its version
	Params  *map[string]float64 `json:"params"`  // of the winner
	Score   *float64            `json:"score"`
	DSR     *float64            `json:"dsr"`     // deflated Sharpe ratio
	PBO     *float64            `json:"pbo"`     // probability of backtest overfitting; null of a walk-forward
	Verdict string              `json:"verdict"` // of the evidence
	Outcome string              `json:"outcome"` // of an ingestion: created, replaced or unchanged
	Chunks  int                 `json:"chunks"`  // of an ingestion's document
}

// ScheduleDifference is one figure that differs from the result before.
type ScheduleDifference struct {
	Field  string `json:"field"`  // such as score, dsr, pbo or params.fast
	Before any    `json:"before"` // null: it was not there
	After  any    `json:"after"`  // null: it is not there
}

// ScheduleEvent is the payload of schedule.* events.
type ScheduleEvent struct {
	Schedule string               `json:"schedule"` // its name
	Kind     ScheduleKind         `json:"kind"`
	SlotID   string               `json:"slot_id"`
	Cause    SlotCause            `json:"cause"`
	SlotAt   time.Time            `json:"slot_at"`
	Slots    int                  `json:"slots"`
	State    SlotState            `json:"state"`
	ResultID *string              `json:"result_id,omitempty"`
	Reason   *string              `json:"reason,omitempty"`
	Failures int                  `json:"failures,omitempty"` // in a row
	Changes  []ScheduleDifference `json:"changes,omitempty"`
}
