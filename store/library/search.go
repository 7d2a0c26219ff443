package library

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/store"
)

// MatchText finds the chunks of the workspace that share words with the question by BM25, best
// first. It searches a copy of the workspace's words that this process keeps in memory, and first
// brings it up to what is committed. The copy is read under row-level security.
func (s *Store) MatchText(ctx context.Context, workspace uuid.UUID, question string, filter knowledge.Filter, limit int) ([]knowledge.WordHit, error) {
	words, version, err := s.askedWords(ctx, workspace, question)
	if err != nil {
		return nil, fmt.Errorf("read the question's words: %w", err)
	}
	if len(words) == 0 || version == 0 {
		return nil, nil
	}
	hits, err := s.words.search(ctx, s, workspace, version, words, filter, limit)
	if err != nil {
		return nil, fmt.Errorf("match text: %w", err)
	}
	return hits, nil
}

// askedWords are the words of a question as chunks have them, and the version of the workspace's
// text, 0 when it never had any. It is one round trip: the statements of a batch are one transaction.
func (s *Store) askedWords(ctx context.Context, workspace uuid.UUID, question string) (words []string, version int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`select set_config('role', 'millrace_workspace', true), enter_workspace($1)`, workspace)
	batch.Queue(`select coalesce(array_agg(lexeme), '{}') from unnest(to_tsvector('english', $1))`, question).QueryRow(func(row pgx.Row) error {
		return row.Scan(&words)
	})
	batch.Queue(`select version from text_versions where workspace_id = $1`, workspace).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	err = s.db.Workspaces().SendBatch(ctx, batch).Close()
	return words, version, store.Present(err)
}

// HasChunks reports whether the workspace has a chunk that passes the filter.
func (s *Store) HasChunks(ctx context.Context, workspace uuid.UUID, filter knowledge.Filter) (bool, error) {
	var has bool
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `
			select exists (select 1 from chunks c join documents d on d.id = c.document_id
			                where c.workspace_id = $1 and (coalesce(cardinality($2::text[]), 0) = 0 or d.source_type = any ($2))
			                  and (coalesce(cardinality($3::uuid[]), 0) = 0 or d.id = any ($3)))`,
			workspace, filter.SourceTypes, filter.Documents).Scan(&has)
	})
	if err != nil {
		return false, fmt.Errorf("look for a chunk: %w", err)
	}
	return has, nil
}

// Passages reads chunks of the workspace with what a citation shows. Ids that are not there, or are
// another's, are left out.
func (s *Store) Passages(ctx context.Context, workspace uuid.UUID, chunks []uuid.UUID) ([]knowledge.Passage, error) {
	var passages []knowledge.Passage
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.id, c.document_id, c.idx, c.position, c.text, c.tokens, d.source_type, d.title, d.canonical_url
			  from chunks c join documents d on d.id = c.document_id
			 where c.workspace_id = $1 and c.id = any ($2)`, workspace, chunks)
		if err != nil {
			return fmt.Errorf("read passages: %w", err)
		}
		passages, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (knowledge.Passage, error) {
			var p knowledge.Passage
			err := row.Scan(&p.ID, &p.DocumentID, &p.Index, &p.Position, &p.Text, &p.Tokens, &p.SourceType, &p.Title, &p.URL)
			return p, err
		})
		if err != nil {
			return fmt.Errorf("read passages: %w", err)
		}
		return nil
	})
	return passages, err
}

// ChunkParts reads the vectors of the parts of chunks in a collection. Chunks that have none, or are another workspace's,
// are left out. It is one round trip: the statements of a batch are one transaction.
func (s *Store) ChunkParts(ctx context.Context, workspace uuid.UUID, collection knowledge.Collection, chunks []uuid.UUID,
) (map[uuid.UUID]knowledge.PartVectors, error) {
	parts := make(map[uuid.UUID]knowledge.PartVectors, len(chunks))
	batch := &pgx.Batch{}
	batch.Queue(`select set_config('role', 'millrace_workspace', true), enter_workspace($1)`, workspace)
	batch.Queue(`select chunk_id, parts from chunk_parts where workspace_id = $1 and collection = $2 and chunk_id = any ($3)`,
		workspace, collection.Name, chunks).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		for rows.Next() {
			var packed []byte
			if err := rows.Scan(&id, &packed); err != nil {
				return err
			}
			parts[id] = packed
		}
		return rows.Err()
	})
	if err := s.db.Workspaces().SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read parts of chunks: %w", store.Present(err))
	}
	return parts, nil
}
