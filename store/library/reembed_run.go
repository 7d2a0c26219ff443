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

// ReembedChunk is a chunk that is to be embedded again.
type ReembedChunk struct {
	knowledge.Chunk
	Title      string // of its document
	SourceType knowledge.SourceType
	Revision   int64
}

// BeginReembed takes a re-embedding up, or ErrEnded.
func (s *Store) BeginReembed(ctx context.Context, lease store.Lease, id uuid.UUID) (*Reembed, error) {
	return s.stepReembed(ctx, lease, id, func(tx *store.Tx, r *Reembed) error {
		r.Status, r.Reason = ReembedRunning, nil
		return tx.QueryRow(ctx, `
			update reembeds set status = 'running', reason = null, started_at = coalesce(started_at, clock_timestamp())
			 where id = $1 returning started_at`, id).Scan(&r.StartedAt)
	})
}

// stepReembed runs fn on a re-embedding under the lease of an attempt that continues afterwards,
// and records it.
func (s *Store) stepReembed(ctx context.Context, lease store.Lease, id uuid.UUID, fn func(*store.Tx, *Reembed) error) (*Reembed, error) {
	var r *Reembed
	err := s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		var err error
		if r, err = liveReembed(ctx, tx, id); err != nil {
			return err
		}
		if err := fn(tx, r); err != nil {
			return fmt.Errorf("re-embedding %s: %w", id, err)
		}
		return appendReembedEvent(ctx, tx, r)
	})
	return r, err
}

func liveReembed(ctx context.Context, tx pgx.Tx, id uuid.UUID) (*Reembed, error) {
	r, err := readReembed(ctx, tx, id)
	if err == nil && (r.Status == ReembedCompleted || r.Status == ReembedFailed) {
		return nil, fmt.Errorf("re-embedding %s is %s: %w", id, r.Status, store.ErrEnded)
	}
	return r, err
}

// ReembedBatch reads chunks of the workspace that are not in the new collection yet, from after an
// id, in its order.
func (s *Store) ReembedBatch(ctx context.Context, workspace, id, after uuid.UUID, limit int) ([]ReembedChunk, error) {
	var chunks []ReembedChunk
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.id, c.document_id, c.idx, c.position, c.text, c.tokens, d.title, d.source_type, c.revision
			  from chunks c join documents d on d.id = c.document_id
			 where c.workspace_id = $1 and c.id > $3
			   and not exists (select from reembed_chunks r where r.reembed_id = $2 and r.chunk_id = c.id)
			 order by c.id limit $4`, workspace, id, after, limit)
		if err != nil {
			return fmt.Errorf("read chunks to embed: %w", err)
		}
		chunks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ReembedChunk, error) {
			var c ReembedChunk
			err := row.Scan(&c.ID, &c.DocumentID, &c.Index, &c.Position, &c.Text, &c.Tokens, &c.Title, &c.SourceType, &c.Revision)
			return c, err
		})
		if err != nil {
			return fmt.Errorf("read chunks to embed: %w", err)
		}
		return nil
	})
	return chunks, err
}

// NoteReembedded records that chunks are in the new collection, and stores the vectors of their parts, in order; nil: none.
func (s *Store) NoteReembedded(ctx context.Context, lease store.Lease, id uuid.UUID, chunks []ReembedChunk, parts []knowledge.PartVectors) error {
	ids, documents := make([]uuid.UUID, len(chunks)), make([]uuid.UUID, len(chunks))
	for i, c := range chunks {
		ids[i], documents[i] = c.ID, c.DocumentID
	}
	_, err := s.stepReembed(ctx, lease, id, func(tx *store.Tx, r *Reembed) error {
		if err := insertParts(ctx, tx, lease.Workspace, r.To.Collection.Name, ids, parts); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			insert into reembed_chunks (reembed_id, workspace_id, chunk_id, document_id)
			select $1, $2, * from unnest($3::uuid[], $4::uuid[]) on conflict do nothing`, id, lease.Workspace, ids, documents)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			update reembeds set done = done + $2, total = greatest(total, done + $2) where id = $1 returning done, total`,
			id, len(chunks)).Scan(&r.Done, &r.Total)
	})
	return err
}

// WaitReembed notes what a re-embedding waits for.
func (s *Store) WaitReembed(ctx context.Context, lease store.Lease, id uuid.UUID, reason string) error {
	_, err := s.stepReembed(ctx, lease, id, func(tx *store.Tx, r *Reembed) error {
		r.Reason = &reason
		_, err := tx.Exec(ctx, `update reembeds set reason = $2 where id = $1`, id, reason)
		return err
	})
	return err
}

// sweepDelay leaves searches that began before the switch the time to end.
const sweepDelay = time.Minute

// FinishReembed switches the workspace to the new collection under the lease. Chunks can neither
// come nor go meanwhile; when some have come before that are not in the new collection it is
// ErrBehind, and nothing is done. A job is inserted that deletes what is left behind.
func (s *Store) FinishReembed(ctx context.Context, lease store.Lease, id uuid.UUID) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		r, err := liveReembed(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := readPlacement(ctx, tx, lease.Workspace, "for update"); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("hold placement: %w", err)
		}
		var behind bool
		err = tx.QueryRow(ctx, `
			select exists (select from chunks c where c.workspace_id = $1
			          and not exists (select from reembed_chunks r where r.reembed_id = $2 and r.chunk_id = c.id))`,
			lease.Workspace, id).Scan(&behind)
		if err != nil {
			return fmt.Errorf("look for chunks that came: %w", err)
		}
		if behind {
			return fmt.Errorf("re-embedding %s: %w", id, ErrBehind)
		}
		if err := movePlacement(ctx, tx, lease.Workspace, r.To); err != nil {
			return err
		}
		sweep := jobs.ReembedSweepArgs{WorkspaceID: lease.Workspace, ReembedID: id}
		if err := store.InsertLater(ctx, tx, s.db.River(), sweep, sweepDelay); err != nil {
			return err
		}
		return endReembed(ctx, tx, r, ReembedCompleted, nil)
	})
}

func movePlacement(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, to knowledge.Placement) error {
	_, err := tx.Exec(ctx, `
		insert into workspace_models (workspace_id, provider, model, collection, dimensions) values ($1, $2, $3, $4, $5)
		on conflict (workspace_id) do update set provider = excluded.provider, model = excluded.model,
		   collection = excluded.collection, dimensions = excluded.dimensions, switched_at = clock_timestamp()`,
		workspace, to.Model.Provider, to.Model.Name, to.Collection.Name, to.Model.Dimensions)
	if err != nil {
		return fmt.Errorf("move placement: %w", err)
	}
	return nil
}

// FailReembed ends a re-embedding that cannot be done, with its reason, under the lease. The
// workspace stays where it is.
func (s *Store) FailReembed(ctx context.Context, lease store.Lease, id uuid.UUID, reason string) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		r, err := liveReembed(ctx, tx, id)
		if err != nil {
			return err
		}
		return endReembed(ctx, tx, r, ReembedFailed, &reason)
	})
}

// endReembed gives a re-embedding its final status and records it. One that had ended before is ErrEnded,
// and nothing changes.
func endReembed(ctx context.Context, tx pgx.Tx, r *Reembed, status ReembedStatus, reason *string) error {
	tag, err := tx.Exec(ctx, `
		update reembeds set status = $2, reason = $3, completed_at = clock_timestamp()
		 where id = $1 and status in ('queued', 'running')`, r.ID, status, reason)
	if err != nil {
		return fmt.Errorf("end re-embedding %s: %w", r.ID, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("re-embedding %s: %w", r.ID, &store.EndedError{What: "re-embedding", State: string(r.Status)})
	}
	r.Status, r.Reason = status, reason
	return appendReembedEvent(ctx, tx, r)
}

// Leftover is a document that has vectors in a collection for chunks that are gone: revisions below
// Below, or all of it.
type Leftover struct {
	Document uuid.UUID
	Below    int64
}

// Leftovers are documents that changed while they were embedded again.
func (s *Store) Leftovers(ctx context.Context, workspace, id uuid.UUID) ([]Leftover, error) {
	var left []Leftover
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select r.document_id, coalesce(max(d.revision), $3)
			  from reembed_chunks r left join documents d on d.id = r.document_id
			 where r.workspace_id = $1 and r.reembed_id = $2 and not exists (select from chunks c where c.id = r.chunk_id)
			 group by 1`, workspace, id, knowledge.AllRevisions)
		if err != nil {
			return fmt.Errorf("look for leftovers: %w", err)
		}
		if left, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Leftover]); err != nil {
			return fmt.Errorf("look for leftovers: %w", err)
		}
		return nil
	})
	return left, err
}

// ForgetReembed drops the record of which chunks were embedded, once nothing is left over.
func (s *Store) ForgetReembed(ctx context.Context, workspace, id uuid.UUID) error {
	return s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from reembed_chunks where workspace_id = $1 and reembed_id = $2`, workspace, id)
		if err != nil {
			return fmt.Errorf("forget re-embedding %s: %w", id, err)
		}
		return nil
	})
}
