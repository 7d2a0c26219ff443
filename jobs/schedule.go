package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// ScheduleFireArgs fire the next slot of a schedule. Each schedule that is not paused has one such job, which
// waits for its slot and enqueues the one of the slot after it.
type ScheduleFireArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	ScheduleID  uuid.UUID `json:"schedule_id"`
}

// Kind implements river.JobArgs.
func (ScheduleFireArgs) Kind() string { return "schedule.fire" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ScheduleFireArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTunes, MaxAttempts: maxAttempts, Priority: PriorityFirst}
}

// ScheduleSubmitArgs submit the work of a slot that is due.
type ScheduleSubmitArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	SlotID      uuid.UUID `json:"slot_id"`
}

// Kind implements river.JobArgs.
func (ScheduleSubmitArgs) Kind() string { return "schedule.submit" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ScheduleSubmitArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTunes, MaxAttempts: maxAttempts, Priority: PriorityShare}
}

// ScheduleCompareArgs compare what a slot's work has found with the result before, once that work has ended.
type ScheduleCompareArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	SlotID      uuid.UUID `json:"slot_id"`
}

// Kind implements river.JobArgs.
func (ScheduleCompareArgs) Kind() string { return "schedule.compare" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ScheduleCompareArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTunes, MaxAttempts: maxAttempts, Priority: PriorityShare}
}
