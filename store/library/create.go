package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store"
)

// CreateIngest stores an ingestion and its River job in the transaction of the submission, and makes
// the document it is for unless it is there; render makes the response that is kept with the key. The
// id of the job, and when it was created, are known when CreateIngest returns.
func (s *Store) CreateIngest(ctx context.Context, sub store.Submission, in NewIngest,
	render func(*Ingest) (store.Response, error),
) (store.Response, error) {
	sub.Adds = store.AddsOne
	for try := 1; ; try++ {
		var found documentPlace
		resp, err := s.db.SubmitLooking(ctx, sub, found.look(sub.Workspace, in),
			func(ctx context.Context, tx *store.Tx) (store.Response, error) {
				place := found
				if tx.Unbegun() { // and fails unless a new document is in its place
					place = documentPlace{at: tx.Place().At}
				}
				ingest, err := s.createIngest(ctx, tx, sub.Workspace, place, in)
				if err != nil {
					return store.Response{}, err
				}
				if tx.Unbegun() {
					tx.AfterCommit(func() { ingest.CreatedAt = tx.Place().At })
				}
				return render(ingest)
			})
		if try == createTries || !madeMeanwhile(err) {
			return resp, err
		}
	}
}

// createTries is how often a document is looked for that others make at the same time.
const createTries = 5

// madeMeanwhile reports whether another submission has made the document since it was looked for.
func madeMeanwhile(err error) bool {
	var from *pgconn.PgError
	return errors.As(err, &from) && from.Code == store.UniqueViolation && from.ConstraintName == "documents_workspace_id_source_type_canonical_url_key"
}

// CreateIngestIn is CreateIngest within the transaction of another submission.
func (s *Store) CreateIngestIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, in NewIngest) (*Ingest, error) {
	document, err := claimDocument(ctx, tx, workspace, in.SourceType, in.CanonicalURL)
	if err != nil {
		return nil, err
	}
	place := documentPlace{id: &document}
	if err := tx.QueryRow(ctx, `select now()`).Scan(&place.at); err != nil {
		return nil, fmt.Errorf("read the time: %w", err)
	}
	part := tx.Part()
	ingest, err := s.createIngest(ctx, part, workspace, place, in)
	if err != nil {
		return nil, err
	}
	return ingest, part.RunLast(ctx)
}

// documentPlace is what a submission finds of its document.
type documentPlace struct {
	id      *uuid.UUID // kept until the transaction ends; nil: there is none
	limited bool       // the workspace may have so many documents
	at      time.Time  // when the transaction began
}

// look has a submission look at it. Of an address it is likely to be new, and is then sent in one round trip: queue_ingestion in migrations/sql.
func (p *documentPlace) look(workspace uuid.UUID, in NewIngest) store.Look {
	look := store.Look{Queue: func(batch *pgx.Batch) { p.queue(batch, workspace, in) }}
	if in.Upload == uuid.Nil { // which would have to be claimed
		look.InOne = &store.InOne{Function: "queue_ingestion", Own: [2]any{string(in.SourceType), in.CanonicalURL}}
		look.Fits = func() bool { return p.id == nil && !p.limited }
	}
	return look
}

// queue has a batch look. What deletes the document's row waits. An ingestion that was inserted meanwhile finds no document when it
// begins, and is cancelled.
func (p *documentPlace) queue(batch *pgx.Batch, workspace uuid.UUID, in NewIngest) {
	batch.Queue(`
		select (select id from documents where workspace_id = $1 and source_type = $2 and canonical_url = $3 for key share),
		       max_documents is not null, now()
		  from workspaces where id = $1`, workspace, in.SourceType, in.CanonicalURL).QueryRow(func(row pgx.Row) error {
		return row.Scan(&p.id, &p.limited, &p.at)
	})
}

// createIngest leaves the rows for the end of the transaction.
func (s *Store) createIngest(ctx context.Context, tx *store.Tx, workspace uuid.UUID, place documentPlace, in NewIngest) (*Ingest, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("ingestion id: %w", err)
	}
	options, err := json.Marshal(in.Options)
	if err != nil {
		return nil, fmt.Errorf("encode options: %w", err)
	}
	ingest := &Ingest{
		ID: id, WorkspaceID: workspace, SourceType: in.SourceType, Detected: in.Detected, Name: in.Name, Options: in.Options,
		Status: IngestQueued, Stage: "queued", CreatedAt: place.at,
	}
	if in.URL != "" {
		ingest.URL = &in.URL
	}
	if ingest.DocumentID, err = newDocument(ctx, tx, workspace, place, in); err != nil {
		return nil, err
	}
	if in.Upload != uuid.Nil {
		ingest.UploadID = &in.Upload
		err := tx.QueryRow(ctx, `
			update ingest_uploads set claimed = true where id = $1 and not claimed returning size`, in.Upload).Scan(&ingest.Bytes)
		if err != nil {
			return nil, fmt.Errorf("claim upload: %w", err)
		}
	}
	if err := s.insertIngest(ctx, tx, ingest, options, in.CanonicalURL); err != nil {
		return nil, err
	}
	payload := ingest.event()
	return ingest, store.AppendEventLast(tx, workspace, "ingestion", "ingestion.job.queued", id.String(), payload)
}

// newDocument is the document of a source: the one there is, or one that is made. Where the workspace may have so many it is
// made at once, to be counted.
func newDocument(ctx context.Context, tx *store.Tx, workspace uuid.UUID, place documentPlace, in NewIngest) (uuid.UUID, error) {
	if place.id != nil {
		return *place.id, nil
	}
	if place.limited {
		return claimDocument(ctx, tx, workspace, in.SourceType, in.CanonicalURL)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("document id: %w", err)
	}
	tx.Last("insert document", `insert into documents (id, workspace_id, source_type, canonical_url) values ($1, $2, $3, $4)`,
		id, workspace, in.SourceType, in.CanonicalURL)
	return id, nil
}

const newIngest = `
	insert into ingest_jobs (id, workspace_id, source_type, detected, document_id, url, name, upload_id, options, bytes, canonical_url, river_job_id)`

// insertIngest inserts the ingestion and its job.
func (s *Store) insertIngest(ctx context.Context, tx *store.Tx, in *Ingest, options []byte, address string) error {
	args := jobs.IngestArgs{WorkspaceID: in.WorkspaceID, IngestID: in.ID}
	row := []any{
		in.ID, in.WorkspaceID, in.SourceType, in.Detected, in.DocumentID, in.URL, in.Name, in.UploadID, options, in.Bytes, address,
	}
	known, ok := s.db.River().(store.PreparedJobs)
	if !ok {
		job, err := s.db.River().InsertTx(ctx, tx, args, nil)
		if err != nil {
			return fmt.Errorf("insert ingestion job: %w", err)
		}
		in.RiverJobID = job.Job.ID
		tx.Last("insert ingestion", newIngest+` values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, append(row, job.Job.ID)...)
		return nil
	}
	job, err := known.Prepare(ctx, args, river.InsertOpts{})
	if err != nil {
		return fmt.Errorf("prepare ingestion job: %w", err)
	}
	// In the words of River's own insert.
	tx.LastRow("insert ingestion and job", []any{&in.RiverJobID}, `
		with job as (
			insert into river_job (args, kind, max_attempts, metadata, priority, queue)
			values ($12, $13, $14, $15, $16, $17) returning id)`+newIngest+`
		select $1::uuid, $2::uuid, $3::text, $4::boolean, $5::uuid, $6::text, $7::text, $8::uuid, $9::jsonb, $10::bigint, $11::text, job.id from job
		returning river_job_id`,
		append(row, job.EncodedArgs, job.Kind, job.MaxAttempts, job.Metadata, job.Priority, job.Queue)...)
	known.Wake(job.Queue, tx.Last, tx.AfterCommit)
	return nil
}
