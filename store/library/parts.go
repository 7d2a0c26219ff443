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
		if _, err := readPlacement(ctx, tx, workspace, "for share"); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("hold placement: %w", err)
		}
		tag, err := tx.Exec(ctx, `
			delete from chunk_parts
			 where ctid = any(array(select p.ctid from chunk_parts p where p.workspace_id = $1 and p.collection = $2
			                           and not exists (select from workspace_models m where m.workspace_id = $1 and m.collection = $2)
			                           and not exists (select from reembeds r where r.workspace_id = $1 and r.collection = $2 and r.status in ('queued', 'running'))
			                         limit $3)) and workspace_id = $1`, workspace, collection.Name, most)
		if err != nil {
			return fmt.Errorf("forget parts of chunks in %s: %w", collection.Name, err)
		}
		gone = tag.RowsAffected()
		return nil
	})
	return gone, err
}
