package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// StrategyCheckArgs examine a script that was uploaded. Its text is in the database, never here.
type StrategyCheckArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	StrategyID  uuid.UUID `json:"strategy_id"`
}

// Kind implements river.JobArgs.
func (StrategyCheckArgs) Kind() string { return "strategy.check" }

// InsertOpts implements river.JobArgsWithInsertOpts. It computes as a shard does, and someone waits for it.
func (StrategyCheckArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTrials, MaxAttempts: maxAttempts, Priority: PriorityFirst}
}
