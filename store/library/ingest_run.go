package library

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/store"
)

// BeginIngest takes an ingestion up, and reserves the revision that this attempt will store. It
// returns the ingestion and its document as they now are. ErrEnded when either has ended.
func (s *Store) BeginIngest(ctx context.Context, lease store.Lease, id uuid.UUID) (*Ingest, knowledge.Document, error) {
	var ingest *Ingest
	var doc knowledge.Document
	err := s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) (err error) {
		if ingest, err = liveIngest(ctx, tx, lease.Workspace, id); err != nil {
			return err
		}
		if doc, err = readDocument(ctx, tx, lease.Workspace, ingest.DocumentID, ""); err != nil {
			return err
		}
		ingest.Status, ingest.NextAttemptAt, ingest.Reason = IngestRunning, nil, nil
		ingest.Stage, ingest.Done, ingest.Total = "fetch", 0, 0
		err = tx.QueryRow(ctx, `
			update ingest_jobs
			   set status = 'running', attempts = attempts + 1, stage = 'fetch', done = 0, total = 0, reason = null,
			       next_attempt_at = null, started_at = coalesce(started_at, clock_timestamp()),
			       revision = nextval('document_revision_seq')
			 where id = $1 returning revision, attempts, started_at`, id).Scan(&ingest.Revision, &ingest.Attempts, &ingest.StartedAt)
		if err != nil {
			return fmt.Errorf("begin ingestion %s: %w", id, err)
		}
		return appendIngestEvent(ctx, tx, ingest, "running")
	})
	return ingest, doc, err
}

func liveIngest(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Ingest, error) {
	ingest, err := readIngest(ctx, tx, workspace, id)
	if err != nil {
		return nil, err
	}
	if ingest.Status.Ended() {
		return nil, fmt.Errorf("ingestion %s is %s: %w", id, ingest.Status, store.ErrEnded)
	}
	return ingest, nil
}

// ReportIngest records how far an attempt is. ErrFenced or ErrEnded when it should stop working.
func (s *Store) ReportIngest(ctx context.Context, lease store.Lease, id uuid.UUID, stage string, done, total int) error {
	return s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		ingest, err := liveIngest(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		ingest.Stage, ingest.Done, ingest.Total = stage, done, total
		_, err = tx.Exec(ctx, `update ingest_jobs set stage = $2, done = $3, total = $4 where id = $1`, id, stage, done, total)
		if err != nil {
			return fmt.Errorf("report ingestion %s: %w", id, err)
		}
		return appendIngestEvent(ctx, tx, ingest, "progress")
	})
}

// RetypeIngest gives an ingestion whose type was guessed the type that its content has, and the
// document of that type and the same URL. It returns the ingestion and its document as they now are.
func (s *Store) RetypeIngest(ctx context.Context, lease store.Lease, id uuid.UUID, source knowledge.SourceType) (*Ingest, knowledge.Document, error) {
	var ingest *Ingest
	var doc knowledge.Document
	err := s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) (err error) {
		if ingest, err = liveIngest(ctx, tx, lease.Workspace, id); err != nil {
			return err
		}
		before, err := readDocument(ctx, tx, lease.Workspace, ingest.DocumentID, "for update")
		if err != nil {
			return err
		}
		if ingest.DocumentID, err = claimDocument(ctx, tx, lease.Workspace, source, before.CanonicalURL); err != nil {
			return err
		}
		ingest.SourceType = source
		_, err = tx.Exec(ctx, `update ingest_jobs set source_type = $2, document_id = $3 where id = $1`,
			id, source, ingest.DocumentID)
		if err != nil {
			return fmt.Errorf("retype ingestion %s: %w", id, err)
		}
		if err := dropEmptyDocument(ctx, tx, before.ID); err != nil {
			return err
		}
		doc, err = readDocument(ctx, tx, lease.Workspace, ingest.DocumentID, "")
		return err
	})
	return ingest, doc, err
}

// dropEmptyDocument deletes a document that never had a revision and that no live ingestion is for. The
// document is locked first, in a statement of its own: a submission that claims it meanwhile has
// committed by then, so that its ingestion is seen.
func dropEmptyDocument(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if _, err := tx.Exec(ctx, `select from documents where id = $1 for update`, id); err != nil {
		return fmt.Errorf("lock document %s: %w", id, err)
	}
	_, err := tx.Exec(ctx, `
		delete from documents d where id = $1 and revision = 0
		   and not exists (select from ingest_jobs i
		                    where i.document_id = d.id and i.status in ('queued', 'running', 'retrying'))`, id)
	if err != nil {
		return fmt.Errorf("drop empty document %s: %w", id, err)
	}
	return nil
}

// RetryIngest notes why an attempt came to nothing and when the next is due; the attempt then ends.
func (s *Store) RetryIngest(ctx context.Context, lease store.Lease, id uuid.UUID, reason string, next time.Time) error {
	return s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		ingest, err := liveIngest(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		ingest.Status, ingest.Reason, ingest.NextAttemptAt = IngestRetrying, &reason, &next
		_, err = tx.Exec(ctx, `
			update ingest_jobs set status = 'retrying', reason = $2, next_attempt_at = $3 where id = $1`, id, reason, next)
		if err != nil {
			return fmt.Errorf("note retry of ingestion %s: %w", id, err)
		}
		return appendIngestEvent(ctx, tx, ingest, "retrying")
	})
}

// Ingested is what an attempt has made of a source.
type Ingested struct {
	Document   knowledge.Document // as it is to be; ID, revision and canonical URL as BeginIngest gave them
	Chunks     []knowledge.Chunk
	Parts      []knowledge.PartVectors // of the chunks, in order; nil: none
	DatasetID  *uuid.UUID
	Unchanged  bool   // the document holds this content already: only the ingestion ends
	Collection string // where the chunks' vectors are
	Bytes      int64
}

// FinishIngest stores a document's new revision under the lease: the chunks of the revision before go
// in the transaction in which those of this one come, and a job is inserted that deletes the vectors
// of earlier revisions. The outcome is created, replaced, or unchanged.
//
// A document that was deleted meanwhile, or has a later revision by now, is ErrEnded and ErrConflict;
// so is a workspace whose vectors moved to another collection than the one named. What its quota of bytes has no
// room for is a *store.QuotaError. Then nothing is stored, and the vectors of this revision are to be deleted.
func (s *Store) FinishIngest(ctx context.Context, lease store.Lease, id uuid.UUID, made Ingested) (*Ingest, error) {
	var ingest *Ingest
	err := s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) (err error) {
		if ingest, err = liveIngest(ctx, tx, lease.Workspace, id); err != nil {
			return err
		}
		doc, err := readDocument(ctx, tx, lease.Workspace, made.Document.ID, "for update")
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("document %s is deleted: %w", made.Document.ID, store.ErrEnded)
		}
		if err != nil {
			return err
		}
		outcome := string(outcomeUnchanged)
		if !made.Unchanged {
			if outcome, err = s.storeRevision(ctx, tx, ingest, doc, made); err != nil {
				return err
			}
		}
		ingest.Outcome, ingest.DatasetID, ingest.Bytes, ingest.Chunks = &outcome, made.DatasetID, made.Bytes, len(made.Chunks)
		if made.Unchanged {
			ingest.Chunks = doc.Chunks
		}
		_, err = tx.Exec(ctx, `update ingest_jobs set outcome = $2, dataset_id = $3, bytes = $4, chunks = $5 where id = $1`,
			id, outcome, made.DatasetID, ingest.Bytes, ingest.Chunks)
		if err != nil {
			return fmt.Errorf("finish ingestion %s: %w", id, err)
		}
		return s.endIngest(ctx, tx, ingest, IngestCompleted, "")
	})
	return ingest, err
}

func (s *Store) storeRevision(ctx context.Context, tx pgx.Tx, ingest *Ingest, old knowledge.Document,
	made Ingested,
) (outcome string, err error) {
	doc := made.Document
	if old.Revision > doc.Revision {
		return "", fmt.Errorf("document %s has revision %d, later than %d: %w", doc.ID, old.Revision, doc.Revision, store.ErrConflict)
	}
	if err := holdCollection(ctx, tx, doc.WorkspaceID, made.Collection); err != nil {
		return "", err
	}
	tokens, bytes := 0, int64(0)
	for _, c := range made.Chunks {
		tokens, bytes = tokens+c.Tokens, bytes+int64(len(c.Text))
	}
	var before int64
	err = tx.QueryRow(ctx, `
		update documents d
		   set title = $2, author = $3, published_at = $4, metadata = $5, sha256 = $6, revision = $7,
		       chunks = $8, tokens = $9, bytes = $10, updated_at = clock_timestamp()
		  from (select coalesce(bytes, tokens * 4) as bytes from documents where id = $1) old
		 where id = $1 returning old.bytes`,
		doc.ID, doc.Title, doc.Author, doc.PublishedAt, doc.Metadata, doc.SHA256, doc.Revision, len(made.Chunks), tokens, bytes).Scan(&before)
	if err != nil {
		return "", fmt.Errorf("store revision of document %s: %w", doc.ID, err)
	}
	if err := store.CheckQuota(ctx, tx, doc.WorkspaceID, store.Added{Bytes: max(bytes-before, 0)}); err != nil {
		return "", err
	}
	if err := replaceChunks(ctx, tx, doc, made.Chunks); err != nil {
		return "", err
	}
	if err := insertParts(ctx, tx, doc.WorkspaceID, made.Collection, chunkIDs(made.Chunks), made.Parts); err != nil {
		return "", err
	}
	// An earlier attempt may have left vectors of a revision that was never stored.
	if old.Revision > 0 || ingest.Attempts > 1 {
		forget := jobs.IngestForgetArgs{WorkspaceID: doc.WorkspaceID, DocumentID: doc.ID, Below: doc.Revision}
		if _, err := s.db.River().InsertTx(ctx, tx, forget, nil); err != nil {
			return "", fmt.Errorf("insert job to forget revisions of document %s: %w", doc.ID, err)
		}
	}
	if old.Revision > 0 {
		return string(outcomeReplaced), nil
	}
	return string(outcomeCreated), nil
}

// holdCollection keeps the workspace's vectors where they are until the end of the transaction, and
// makes sure that this is where the new ones were put.
func holdCollection(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, collection string) error {
	var now string
	err := tx.QueryRow(ctx, `select collection from workspace_models where workspace_id = $1 for share`, workspace).Scan(&now)
	if err != nil {
		return fmt.Errorf("hold the collection: %w", err)
	}
	if now != collection {
		return fmt.Errorf("vectors are in %s and not in %s any more: %w", now, collection, store.ErrConflict)
	}
	return nil
}

// FailIngest ends an ingestion that cannot be done under the lease. A
// document that has no revision goes with it.
func (s *Store) FailIngest(ctx context.Context, lease store.Lease, id uuid.UUID, failure store.Failure) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		ingest, err := liveIngest(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		ingest.Final = failure.Final
		return s.endIngest(ctx, tx, ingest, IngestFailed, failure.Reason)
	})
}

// endIngest gives an ingestion its final status, drops what was sent for it, and records the end. One
// that had ended before is ErrEnded, and nothing changes.
func (s *Store) endIngest(ctx context.Context, tx *store.Tx, ingest *Ingest, status IngestStatus, reason string) error {
	ingest.Status, ingest.NextAttemptAt = status, nil
	if reason != "" {
		ingest.Reason = &reason
	}
	if status == IngestCompleted {
		ingest.Stage, ingest.Reason = "done", nil
	}
	err := tx.QueryRow(ctx, `
		update ingest_jobs
		   set status = $2, reason = $3, stage = $4, final = $5, next_attempt_at = null, completed_at = clock_timestamp()
		 where id = $1 and status in ('queued', 'running', 'retrying') returning completed_at`,
		ingest.ID, status, ingest.Reason, ingest.Stage, ingest.Final).Scan(&ingest.CompletedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("ingestion %s: %w", ingest.ID, store.ErrEnded)
	}
	if err != nil {
		return fmt.Errorf("end ingestion %s: %w", ingest.ID, err)
	}
	if ingest.UploadID != nil {
		if _, err := tx.Exec(ctx, `delete from ingest_uploads where id = $1`, *ingest.UploadID); err != nil {
			return fmt.Errorf("drop upload of ingestion %s: %w", ingest.ID, err)
		}
		ingest.UploadID = nil
	}
	if status != IngestCompleted {
		if err := dropEmptyDocument(ctx, tx, ingest.DocumentID); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() { s.db.Recorder().IngestionEnded(string(ingest.SourceType), string(status)) })
	if err := appendIngestEvent(ctx, tx, ingest, string(status)); err != nil {
		return err
	}
	return s.db.Schedules().Ended(ctx, tx, ingest.WorkspaceID, ingest.ID)
}

// AbandonIngest cancels an ingestion from within, under its lease, as its document is gone.
func (s *Store) AbandonIngest(ctx context.Context, lease store.Lease, id uuid.UUID, reason string) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		ingest, err := liveIngest(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		return s.endIngest(ctx, tx, ingest, IngestCanceled, reason)
	})
}
