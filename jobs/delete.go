package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// DeleteArgs delete the rows of what a deletion lists.
type DeleteArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	DeletionID  uuid.UUID `json:"deletion_id"`
}

// Kind implements river.JobArgs.
func (DeleteArgs) Kind() string { return "delete" }

// InsertOpts implements river.JobArgsWithInsertOpts. Nobody waits for it: what is being deleted is seen by nobody.
func (DeleteArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueRetention, MaxAttempts: maxAttempts, Priority: PriorityShare}
}
