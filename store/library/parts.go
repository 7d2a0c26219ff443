package library

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/store"
)

// insertParts stores the vectors of the parts of chunks in a collection, in the place of those that are there. A chunk that
// has none, or is being deleted, is left out: waiting for the deletion could be waiting for one that waits for this.
func insertParts(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, collection string, chunks []uuid.UUID, parts []knowledge.PartVectors) error {
	var ids []uuid.UUID
	var packed [][]byte
	for i, p := range parts {
		if len(p) > 0 {
			ids, packed = append(ids, chunks[i]), append(packed, p)
		}
	}
	const batch = 500 // bounds the size of a statement
	for start := 0; start < len(ids); start += batch {
		end := min(start+batch, len(ids))
		_, err := tx.Exec(ctx, `
			insert into chunk_parts (workspace_id, chunk_id, collection, parts)
			select c.workspace_id, c.id, $2, p.parts
			  from unnest($3::uuid[], $4::bytea[]) as p (id, parts) join chunks c on c.id = p.id and c.workspace_id = $1
			   for key share of c skip locked
			on conflict (chunk_id, collection) do update set parts = excluded.parts`,
			workspace, collection, ids[start:end], packed[start:end])
		if err != nil {
			return fmt.Errorf("insert parts of chunks: %w", err)
		}
	}
	return nil
}

// HasLeft reports whether the workspace has its vectors in a collection other than the one given, and is not moving to it.
func (s *Store) HasLeft(ctx context.Context, workspace uuid.UUID, collection knowledge.Collection) (left bool, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		left, err = hasLeft(ctx, tx, workspace, collection)
		return err
	})
	return left, err
}

func hasLeft(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, collection knowledge.Collection) (left bool, err error) {
	err = tx.QueryRow(ctx, `
		select not exists (select from workspace_models where workspace_id = $1 and collection = $2)
		   and not exists (select from reembeds where workspace_id = $1 and collection = $2 and status in ('queued', 'running'))`,
		workspace, collection.Name).Scan(&left)
	if err != nil {
		return false, fmt.Errorf("look whether %s was left: %w", collection.Name, err)
	}
	return left, nil
}

// ForgetParts deletes the parts that a workspace's chunks have in a collection which it has left.
func (s *Store) ForgetParts(ctx context.Context, workspace uuid.UUID, collection knowledge.Collection) error {
	for {
		gone, err := s.forgetParts(ctx, workspace, collection)
		if err != nil || gone == 0 {
			return err
		}
	}
}

// forgetParts deletes some of them in one transaction. Where the workspace is again, or is to be, all stay.
func (s *Store) forgetParts(ctx context.Context, workspace uuid.UUID, collection knowledge.Collection) (gone int64, err error) {
	const most = 5000
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if left, err := hasLeft(ctx, tx, workspace, collection); err != nil || !left {
			return err
		}
		tag, err := tx.Exec(ctx, `
			delete from chunk_parts
			 where ctid = any(array(select ctid from chunk_parts where workspace_id = $1 and collection = $2 limit $3)) and workspace_id = $1`,
			workspace, collection.Name, most)
		if err != nil {
			return fmt.Errorf("forget parts of chunks in %s: %w", collection.Name, err)
		}
		gone = tag.RowsAffected()
		return nil
	})
	return gone, err
}
