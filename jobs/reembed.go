package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// ReembedArgs embed a workspace's chunks into another collection and switch to it.
type ReembedArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	ReembedID   uuid.UUID `json:"reembed_id"`
}

// Kind implements river.JobArgs.
func (ReembedArgs) Kind() string { return "ingest.reembed" }

// InsertOpts implements river.JobArgsWithInsertOpts. It goes behind the ingestions.
func (ReembedArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueIngestion, MaxAttempts: maxAttempts, Priority: 3}
}

// ReembedSweepArgs delete what a workspace left behind when it switched collections.
type ReembedSweepArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	ReembedID   uuid.UUID `json:"reembed_id"`
}

// Kind implements river.JobArgs.
func (ReembedSweepArgs) Kind() string { return "ingest.reembed_sweep" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ReembedSweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueIngestion, MaxAttempts: maxAttempts, Priority: 4}
}
