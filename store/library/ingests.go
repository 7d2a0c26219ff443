package library

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/store"
)

// IngestStatus is where an ingestion is in its life; the last three are final.
type IngestStatus string

// The statuses of an ingestion.
const (
	IngestQueued    IngestStatus = "queued"
	IngestRunning   IngestStatus = "running"
	IngestRetrying  IngestStatus = "retrying" // waits to be tried again, for the reason given
	IngestCompleted IngestStatus = "completed"
	IngestFailed    IngestStatus = "failed"
	IngestCanceled  IngestStatus = "canceled"
)

// IngestStatuses lists them all.
func IngestStatuses() []IngestStatus {
	return []IngestStatus{IngestQueued, IngestRunning, IngestRetrying, IngestCompleted, IngestFailed, IngestCanceled}
}

// Outcome is what became of the document of an ingestion that completed.
type Outcome string

// Outcomes lists them.
func Outcomes() []Outcome { return []Outcome{outcomeCreated, outcomeReplaced, outcomeUnchanged} }

const (
	outcomeCreated   Outcome = "created"
	outcomeReplaced  Outcome = "replaced"
	outcomeUnchanged Outcome = "unchanged"
)

// Stage is what an ingestion does.
type Stage string

// Stages lists them, in order.
func Stages() []Stage { return []Stage{"queued", "fetch", "extract", "embed", "save", "done"} }

// Ended reports whether the status is final.
func (s IngestStatus) Ended() bool {
	return s == IngestCompleted || s == IngestFailed || s == IngestCanceled
}

// IngestOptions are what the one who asked has said of the source.
type IngestOptions struct {
	Title     string `json:"title,omitempty"`     // in place of the source's own
	Language  string `json:"language,omitempty"`  // of a transcript to be fetched
	Symbol    string `json:"symbol,omitempty"`    // of a dataset, as the next two
	Timeframe string `json:"timeframe,omitempty"` // "": found in the bars
	Calendar  int    `json:"calendar,omitempty"`  // 252 or 365; 0 is 252
	// ContentType is what the content was called when it was sent.
	ContentType string `json:"content_type,omitempty"`
}

// Ingest is one job that makes a source into a document.
type Ingest struct {
	ID            uuid.UUID
	WorkspaceID   uuid.UUID
	SourceType    knowledge.SourceType
	Detected      bool // the type was found out, so that what is fetched may correct it
	DocumentID    uuid.UUID
	DatasetID     *uuid.UUID
	URL           *string // nil: the content was sent
	Name          string
	UploadID      *uuid.UUID
	Options       IngestOptions
	Status        IngestStatus
	Outcome       *string // created, replaced or unchanged, once completed
	Reason        *string // why it failed or is tried again, for its user
	Stage         string
	Done, Total   int // within the stage
	Revision      int64
	RiverJobID    int64
	Attempts      int
	NextAttemptAt *time.Time
	Bytes         int64
	Chunks        int
	Retries       int  // how often it was taken up again after it had failed or was cancelled
	Final         bool // it failed of what another attempt would meet again
	CreatedAt     time.Time
	StartedAt     *time.Time
	CompletedAt   *time.Time
}

const ingestColumns = `
	id, workspace_id, source_type, detected, document_id, dataset_id, url, name, upload_id, options, status,
	outcome, reason, stage, done, total, revision, river_job_id, attempts, next_attempt_at, bytes, chunks, retries, final,
	created_at, started_at, completed_at`

// NewIngest is what a submission asks for, checked.
type NewIngest struct {
	SourceType   knowledge.SourceType
	Detected     bool
	CanonicalURL string // the document's
	URL          string // to fetch; "" when the content was sent
	Name         string
	Upload       uuid.UUID // of what was sent; uuid.Nil for a URL
	Options      IngestOptions
}

// claimDocument finds the document of a source, or makes one that has no revision yet.
func claimDocument(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, source knowledge.SourceType, url string) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("document id: %w", err)
	}
	made := id
	err = tx.QueryRow(ctx, `
		insert into documents (id, workspace_id, source_type, canonical_url) values ($1, $2, $3, $4)
		on conflict (workspace_id, source_type, canonical_url) do update set canonical_url = excluded.canonical_url
		returning id`, id, workspace, source, url).Scan(&id)
	if err != nil {
		return id, fmt.Errorf("claim document: %w", err)
	}
	if id != made {
		return id, nil
	}
	return id, store.CheckQuota(ctx, tx, workspace, store.Added{Documents: 1})
}

// Ingest reads one ingestion of the workspace, or ErrNotFound.
func (s *Store) Ingest(ctx context.Context, workspace, id uuid.UUID) (*Ingest, error) {
	var found *Ingest
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		found, err = readIngest(ctx, tx, workspace, id)
		return err
	})
	return found, err
}

func readIngest(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Ingest, error) {
	rows, err := tx.Query(ctx, `select `+ingestColumns+` from ingest_jobs where workspace_id = $1 and id = $2`, workspace, id)
	if err != nil {
		return nil, fmt.Errorf("read ingestion %s: %w", id, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Ingest])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("ingestion %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read ingestion %s: %w", id, err)
	}
	return found, nil
}

// IngestFilter narrows a list of ingestions; zero fields do not.
type IngestFilter struct {
	Status     IngestStatus
	SourceType knowledge.SourceType
	Document   uuid.UUID
}

// Ingests lists the workspace's ingestions, newest first, from after the page's place.
func (s *Store) Ingests(ctx context.Context, workspace uuid.UUID, filter IngestFilter, page store.Page, limit int) ([]*Ingest, error) {
	var list []*Ingest
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select `+ingestColumns+` from ingest_jobs
			where workspace_id = @workspace
			  and (@status = '' or status = @status)
			  and (@source = '' or source_type = @source)
			  and (@document = '00000000-0000-0000-0000-000000000000'::uuid or document_id = @document)
			  and (@before_id = '00000000-0000-0000-0000-000000000000'::uuid
			       or (created_at, id) < (@before, @before_id))
			order by created_at desc, id desc
			limit @limit`,
			pgx.NamedArgs{
				"workspace": workspace, "status": string(filter.Status), "source": string(filter.SourceType),
				"document": filter.Document, "before": page.Before, "before_id": page.BeforeID, "limit": limit,
			})
		if err != nil {
			return fmt.Errorf("list ingestions: %w", err)
		}
		if list, err = pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Ingest]); err != nil {
			return fmt.Errorf("list ingestions: %w", err)
		}
		return nil
	})
	return list, err
}

// CancelIngest ends an ingestion that has not ended, for good. One that has is ErrEnded.
func (s *Store) CancelIngest(ctx context.Context, workspace, id uuid.UUID) (*Ingest, error) {
	var ingest *Ingest
	err := s.db.Change(ctx, workspace, func(tx *store.Tx) error {
		if err := s.endIngestByUser(ctx, tx, workspace, id, uuid.Nil, "canceled"); err != nil {
			return err
		}
		var err error
		ingest, err = readIngest(ctx, tx, workspace, id)
		return err
	})
	return ingest, err
}

// endIngestByUser cancels an ingestion and its River job. With a document, only an ingestion of that: one
// that was given another type by now is of another document, which is ErrNotFound.
func (s *Store) endIngestByUser(ctx context.Context, tx *store.Tx, workspace, id, document uuid.UUID, reason string) error {
	if err := store.Lock(ctx, tx, id); err != nil {
		return err
	}
	ingest, err := readIngest(ctx, tx, workspace, id)
	if err != nil {
		return err
	}
	if ingest.Status.Ended() {
		return fmt.Errorf("ingestion %s: %w", id, &store.EndedError{What: "ingestion", State: string(ingest.Status)})
	}
	if document != uuid.Nil && ingest.DocumentID != document {
		return fmt.Errorf("ingestion %s of document %s: %w", id, document, store.ErrNotFound)
	}
	if _, err := s.db.River().JobCancelTx(ctx, tx, ingest.RiverJobID); err != nil {
		return fmt.Errorf("cancel job %d: %w", ingest.RiverJobID, err)
	}
	return s.endIngest(ctx, tx, ingest, IngestCanceled, reason)
}

// liveIngests are the ingestions of a document that have not ended.
func liveIngests(ctx context.Context, tx pgx.Tx, document uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		select id from ingest_jobs
		 where document_id = $1 and status in ('queued', 'running', 'retrying') order by id`, document)
	if err != nil {
		return nil, fmt.Errorf("list ingestions of document %s: %w", document, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("list ingestions of document %s: %w", document, err)
	}
	return ids, nil
}

// ingestEvent is the payload of ingestion.job.* events.
type ingestEvent struct {
	Status     IngestStatus         `json:"status"`
	SourceType knowledge.SourceType `json:"source_type"`
	DocumentID uuid.UUID            `json:"document_id"`
	DatasetID  *uuid.UUID           `json:"dataset_id,omitempty"`
	Name       string               `json:"name,omitempty"`
	Stage      string               `json:"stage"`
	Done       int                  `json:"done"`
	Total      int                  `json:"total"`
	Outcome    *string              `json:"outcome,omitempty"`
	Reason     *string              `json:"reason,omitempty"`
	Chunks     int                  `json:"chunks"`
	RetryAt    *time.Time           `json:"next_attempt_at,omitempty"`
}

// appendIngestEvent records the ingestion as it now is.
func appendIngestEvent(ctx context.Context, tx pgx.Tx, in *Ingest, what string) error {
	return store.AppendEvent(ctx, tx, in.WorkspaceID, "ingestion", "ingestion.job."+what, in.ID.String(), in.event())
}

func (in *Ingest) event() ingestEvent {
	return ingestEvent{
		Status: in.Status, SourceType: in.SourceType, DocumentID: in.DocumentID, DatasetID: in.DatasetID, Name: in.Name,
		Stage: in.Stage, Done: in.Done, Total: in.Total, Outcome: in.Outcome, Reason: in.Reason, Chunks: in.Chunks,
		RetryAt: in.NextAttemptAt,
	}
}

// IngestRiverJobs are the jobs that read sources, by the ids of the ingestions.
func (s *Store) IngestRiverJobs(ctx context.Context, workspace uuid.UUID, ids []string) (map[string]int64, error) {
	found := map[string]int64{}
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select id::text, river_job_id from ingest_jobs where workspace_id = $1 and id = any ($2::uuid[])`, workspace, ids)
		if err != nil {
			return fmt.Errorf("list jobs of ingestions: %w", err)
		}
		var id string
		var job int64
		if _, err = pgx.ForEachRow(rows, []any{&id, &job}, func() error { found[id] = job; return nil }); err != nil {
			return fmt.Errorf("list jobs of ingestions: %w", err)
		}
		return nil
	})
	return found, err
}
