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

const documentColumns = `
	id, workspace_id, source_type, canonical_url, title, author, published_at, metadata,
	coalesce(sha256, '') as sha256, revision, chunks, tokens, created_at, updated_at`

// Document reads one document of the workspace, or ErrNotFound. One whose first ingestion has not
// ended well yet has revision 0.
func (s *Store) Document(ctx context.Context, workspace, id uuid.UUID) (knowledge.Document, error) {
	var found knowledge.Document
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		found, err = readDocument(ctx, tx, workspace, id, "")
		return err
	})
	return found, err
}

// readDocument reads a document; lock is "" or a locking clause.
func readDocument(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID, lock string) (knowledge.Document, error) {
	return store.ReadOne(ctx, tx, "document "+id.String(), pgx.RowToStructByName[knowledge.Document], `select `+documentColumns+` from documents
		where workspace_id = $1 and id = $2 `+lock, workspace, id)
}

// DocumentFilter narrows a list of documents; zero fields do not.
type DocumentFilter struct {
	SourceType knowledge.SourceType
	Title      string // part of it, in any case
	Archived   *bool  // nil: both
}

// Documents lists the workspace's documents that have chunks, newest first, from after the page's
// place.
func (s *Store) Documents(ctx context.Context, workspace uuid.UUID, filter DocumentFilter, page store.Page, limit int) ([]knowledge.Document, error) {
	var list []knowledge.Document
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "documents", pgx.RowToStructByName[knowledge.Document], `select `+documentColumns+` from documents
			where workspace_id = @workspace and revision > 0
			  and (@source = '' or source_type = @source)
			  and (@archived::boolean is null or (archived_at is not null) = @archived)
			  and (@title = '' or position(lower(@title) in lower(title)) > 0)
			  and (@before_id = '00000000-0000-0000-0000-000000000000'::uuid
			       or (created_at, id) < (@before, @before_id))
			order by created_at desc, id desc
			limit @limit`,
			pgx.NamedArgs{
				"workspace": workspace, "source": string(filter.SourceType), "title": filter.Title, "archived": filter.Archived,
				"before": page.Before, "before_id": page.BeforeID, "limit": limit,
			})
		return err
	})
	return list, err
}

// DocumentChunks reads a document with its chunks from an index on, in order: both of one moment, so
// that they belong together.
func (s *Store) DocumentChunks(ctx context.Context, workspace, id uuid.UUID, from, limit int) (knowledge.Document, []knowledge.Chunk, error) {
	var found knowledge.Document
	var chunks []knowledge.Chunk
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		// The lock keeps a new revision out until both are read.
		if found, err = readDocument(ctx, tx, workspace, id, "for key share"); err != nil {
			return err
		}
		chunks, err = store.ReadAll(ctx, tx, "chunks of document "+id.String(), pgx.RowToStructByName[knowledge.Chunk], `
			select id, document_id, idx as index, position, text, tokens from chunks
			 where workspace_id = $1 and document_id = $2 and idx >= $3 order by idx limit $4`,
			workspace, id, from, limit)
		return err
	})
	return found, chunks, err
}

// DeleteDocument deletes a document with its chunks and inserts the job that deletes its vectors. Ingestions
// of it that have not ended are cancelled. ErrNotFound when another has deleted it meanwhile.
func (s *Store) DeleteDocument(ctx context.Context, workspace, id uuid.UUID) error {
	return s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if _, err := readDocument(ctx, tx, workspace, id, ""); err != nil {
			return err
		}
		live, err := liveIngests(ctx, tx, id)
		if err != nil {
			return err
		}
		canceled := 0
		// In the order in which a worker locks: the ingestion, its River job, the document.
		for _, job := range live {
			err := s.endIngestByUser(ctx, tx, workspace, job, id, "the document was deleted")
			if errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound) {
				continue // since it was listed
			}
			if err != nil {
				return err
			}
			canceled++
		}
		tag, err := tx.Exec(ctx, `delete from documents where id = $1`, id)
		if err != nil {
			return fmt.Errorf("delete document %s: %w", id, err)
		}
		if tag.RowsAffected() == 0 && canceled == 0 {
			return fmt.Errorf("document %s: %w", id, store.ErrNotFound)
		}
		forget := jobs.IngestForgetArgs{WorkspaceID: workspace, DocumentID: id, Below: knowledge.AllRevisions}
		if _, err := s.db.River().InsertTx(ctx, tx, forget, nil); err != nil {
			return fmt.Errorf("insert job to forget document %s: %w", id, err)
		}
		if canceled > 0 {
			// One that is embedding just now may put vectors in until it notices.
			if err := store.InsertLater(ctx, tx, s.db.River(), forget, 2*time.Minute); err != nil {
				return fmt.Errorf("insert job to forget document %s again: %w", id, err)
			}
		}
		return store.AppendEvent(ctx, tx, workspace, "ingestion", "ingestion.document.deleted", id.String(), struct{}{})
	})
}

// replaceChunks puts the chunks of a new revision in the place of those before, within one
// transaction, so that no reader sees half a document.
func replaceChunks(ctx context.Context, tx pgx.Tx, doc knowledge.Document, chunks []knowledge.Chunk) error {
	if _, err := tx.Exec(ctx, `delete from chunks where document_id = $1`, doc.ID); err != nil {
		return fmt.Errorf("drop chunks of document %s: %w", doc.ID, err)
	}
	const batch = 500 // bounds the size of a statement
	for start := 0; start < len(chunks); start += batch {
		if err := insertChunks(ctx, tx, doc, chunks[start:min(start+batch, len(chunks))]); err != nil {
			return err
		}
	}
	return nil
}

func insertChunks(ctx context.Context, tx pgx.Tx, doc knowledge.Document, chunks []knowledge.Chunk) error {
	n := len(chunks)
	ids, indexes, tokens := make([]uuid.UUID, n), make([]int32, n), make([]int32, n)
	positions, headings, texts := make([]knowledge.Position, n), make([]string, n), make([]string, n)
	for i, c := range chunks {
		ids[i], indexes[i], tokens[i] = c.ID, int32(c.Index), int32(c.Tokens)
		positions[i], headings[i], texts[i] = c.Position, c.Position.Heading, c.Text
	}
	_, err := tx.Exec(ctx, `
		insert into chunks (id, workspace_id, document_id, revision, idx, position, text, tokens, search)
		select id, $1, $2, $3, idx, position, text, tokens,
		       setweight(to_tsvector('english', $4 || ' ' || heading), 'A') || setweight(to_tsvector('english', text), 'D')
		  from unnest($5::uuid[], $6::int[], $7::jsonb[], $8::text[], $9::text[], $10::int[])
		       as c (id, idx, position, heading, text, tokens)`,
		doc.WorkspaceID, doc.ID, doc.Revision, doc.Title, ids, indexes, positions, headings, texts, tokens)
	if err != nil {
		return fmt.Errorf("insert chunks of document %s: %w", doc.ID, err)
	}
	return nil
}

func chunkIDs(chunks []knowledge.Chunk) []uuid.UUID {
	ids := make([]uuid.UUID, len(chunks))
	for i, c := range chunks {
		ids[i] = c.ID
	}
	return ids
}
