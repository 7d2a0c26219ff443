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

// DeleteWorkspaceArgs delete the rows of a deleted workspace. They do not name it as the workspace that they belong to:
// the jobs of that are deleted.
type DeleteWorkspaceArgs struct {
	ID uuid.UUID `json:"deleted_workspace"`
}

// Kind implements river.JobArgs.
func (DeleteWorkspaceArgs) Kind() string { return "workspace.delete" }

// InsertOpts implements river.JobArgsWithInsertOpts. It comes before other deletions: a workspace's keys do not open it
// any more, but its jobs still run.
func (DeleteWorkspaceArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueRetention, MaxAttempts: maxAttempts, Priority: PriorityFirst}
}
