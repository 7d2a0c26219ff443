package library

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
)

// Retryable reports whether another attempt can help: a file or a text is not kept.
func (in *Ingest) Retryable() bool {
	return (in.Status == IngestFailed || in.Status == IngestCanceled) && !in.Final && in.URL != nil
}

// RetryEndedIngest has an ingestion that failed or was cancelled run again as itself, in the transaction of a submission; render
// makes the response that is kept with its key. The document is made again if it went with the failure. What was sent is
// not kept, so only a source that is fetched can be retried: *store.NotRetryableError.
func (s *Store) RetryEndedIngest(ctx context.Context, sub store.Submission, depth int, id uuid.UUID, render func(*Ingest) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		if err := store.Lock(ctx, tx, id); err != nil {
			return store.Response{}, err
		}
		ingest, err := readIngest(ctx, tx, sub.Workspace, id)
		if err != nil {
			return store.Response{}, err
		}
		switch {
		case ingest.Status != IngestFailed && ingest.Status != IngestCanceled:
			return store.Response{}, &store.NotRetryableError{What: "ingestion", Reason: string(ingest.Status)}
		case ingest.URL == nil:
			return store.Response{}, &store.NotRetryableError{What: "ingestion", Reason: "of a file, which is not kept: send it again"}
		}
		if err := store.CheckQueueFor(ctx, tx, sub.Workspace, depth, 1); err != nil {
			return store.Response{}, err
		}
		if ingest, err = s.requeue(ctx, tx, ingest); err != nil {
			return store.Response{}, err
		}
		return render(ingest)
	})
}

func (s *Store) requeue(ctx context.Context, tx *store.Tx, ingest *Ingest) (*Ingest, error) {
	document, err := documentAgain(ctx, tx, ingest)
	if err != nil {
		return nil, err
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.IngestArgs{WorkspaceID: ingest.WorkspaceID, IngestID: ingest.ID}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert ingestion job: %w", err)
	}
	_, err = tx.Exec(ctx, `
		update ingest_jobs
		   set status = 'queued', stage = 'queued', done = 0, total = 0, reason = null, final = false, next_attempt_at = null, started_at = null,
		       completed_at = null, document_id = $2, river_job_id = $3, retries = retries + 1
		 where id = $1`, ingest.ID, document, job.Job.ID)
	if err != nil {
		return nil, fmt.Errorf("queue ingestion %s again: %w", ingest.ID, err)
	}
	again, err := readIngest(ctx, tx, ingest.WorkspaceID, ingest.ID)
	if err != nil {
		return nil, err
	}
	return again, appendIngestEvent(ctx, tx, again, "queued")
}

// documentAgain finds the document of an ingestion, or makes it again.
func documentAgain(ctx context.Context, tx pgx.Tx, ingest *Ingest) (uuid.UUID, error) {
	var address string
	err := tx.QueryRow(ctx, `
		select coalesce(d.canonical_url, i.canonical_url, '')
		  from ingest_jobs i left join documents d on d.id = i.document_id where i.id = $1`, ingest.ID).Scan(&address)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("find the document of ingestion %s: %w", ingest.ID, err)
	}
	if address == "" { // it is older than the record of it
		return uuid.Nil, &store.NotRetryableError{What: "ingestion", Reason: "older than retries are: send its address again"}
	}
	return claimDocument(ctx, tx, ingest.WorkspaceID, ingest.SourceType, address)
}
