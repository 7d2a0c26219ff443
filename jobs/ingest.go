package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// IngestAttempts is how often an ingestion that errors is tried. Waiting for a source or a provider
// that asks to be left alone is not an attempt.
const IngestAttempts = maxAttempts

// IngestArgs make one source into a document. What was sent is in the database, never here.
type IngestArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	IngestID    uuid.UUID `json:"ingest_id"`
}

// Kind implements river.JobArgs.
func (IngestArgs) Kind() string { return "ingest.source" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (IngestArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueIngestion, MaxAttempts: IngestAttempts}
}

// IngestForgetArgs delete the vectors of a document's revisions below one.
type IngestForgetArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	DocumentID  uuid.UUID `json:"document_id"`
	Below       int64     `json:"below"`
}

// Kind implements river.JobArgs.
func (IngestForgetArgs) Kind() string { return "ingest.forget" }

// InsertOpts implements river.JobArgsWithInsertOpts. It goes behind the ingestions.
func (IngestForgetArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueIngestion, MaxAttempts: maxAttempts, Priority: 2}
}
