package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// fenced is the SQLSTATE of refuse_fenced in migrations/sql.
const fenced = "MR001"

// PipelineInWorkspace sends statements as one transaction that sees the given workspace's rows, in one
// round trip.
func (s *DB) PipelineInWorkspace(ctx context.Context, workspace uuid.UUID, queue func(*pgx.Batch)) error {
	return s.pipeline(ctx, func(batch *pgx.Batch) {
		batch.Queue(`select set_config('millrace.workspace', $1, true)`, workspace.String())
		queue(batch)
	})
}

// PipelineUnderLease is ContinueUnderLease in one round trip: the server runs the whole transaction
// without waiting for us, so a process that freezes, or a network that fails, at any moment leaves no
// lock behind. A statement that finds the result fenced calls refuse_fenced.
func (s *DB) PipelineUnderLease(ctx context.Context, lease Lease, entity uuid.UUID, queue func(*pgx.Batch)) error {
	err := s.pipeline(ctx, func(batch *pgx.Batch) {
		batch.Queue(`select hold_job($1, $2, $3, $4)`, lease.Workspace, entity, lease.JobID, lease.Attempt)
		queue(batch)
	})
	if SQLState(err) == fenced {
		return fmt.Errorf("%w: %w", err, ErrFenced)
	}
	return err
}

// QueueCompletion completes the lease's job. The caller's batch holds the job, see PipelineUnderLease, and
// River's own completion does the same in the same words.
func QueueCompletion(batch *pgx.Batch, lease Lease) {
	batch.Queue(fmt.Sprintf(completeJob, "$1"), lease.JobID)
}

func (s *DB) pipeline(ctx context.Context, queue func(*pgx.Batch)) error {
	batch := &pgx.Batch{}
	batch.Queue(`begin`)
	batch.Queue(`set local role ` + WorkspaceRole)
	queue(batch)
	batch.Queue(`commit`)
	// After an error the transaction is still open, and the pool closes such a connection.
	return s.spaces.SendBatch(ctx, batch).Close()
}
