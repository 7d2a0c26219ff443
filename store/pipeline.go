package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// SQLSTATEs of our own, of refuse_fenced, enter_workspace and refuse_stopped in migrations/sql.
const (
	fenced  = "MR001"
	absent  = "MR002"
	stopped = "MR003"
)

// EnterWorkspace is the statement that begins a workspace's transaction, once it acts as WorkspaceRole. It fails when
// the workspace is not there, or is being deleted. A UUID's text needs no quoting.
func EnterWorkspace(workspace uuid.UUID) string {
	return "select enter_workspace('" + workspace.String() + "')"
}

// Present has the error of a transaction whose workspace is not there be ErrNotFound.
func Present(err error) error {
	if SQLState(err) == absent {
		return fmt.Errorf("%w: %w", err, ErrNotFound)
	}
	return err
}

// PipelineInWorkspace sends statements as one transaction that sees the given workspace's rows, in one
// round trip.
func (s *DB) PipelineInWorkspace(ctx context.Context, workspace uuid.UUID, queue func(*pgx.Batch)) error {
	err := s.pipeline(ctx, func(batch *pgx.Batch) {
		batch.Queue(`select enter_workspace($1)`, workspace)
		queue(batch)
	})
	return Present(err)
}

// PipelineUnderLease is ContinueUnderLease in one round trip: the server runs the whole transaction
// without waiting for us, so a process that freezes, or a network that fails, at any moment leaves no
// lock behind. A statement that finds the result fenced calls refuse_fenced.
func (s *DB) PipelineUnderLease(ctx context.Context, lease Lease, entity uuid.UUID, queue func(*pgx.Batch)) error {
	err := s.pipeline(ctx, func(batch *pgx.Batch) {
		batch.Queue(`select hold_job($1, $2, $3, $4)`, lease.Workspace, entity, lease.JobID, lease.Attempt)
		queue(batch)
	})
	return Present(held(err))
}

// held has the error of a transaction that found its lease lost be ErrFenced, and that of a job which was asked to stop
// ErrEnded: what it works on has ended, and may have been taken up by another job since.
func held(err error) error {
	switch SQLState(err) {
	case fenced:
		return fmt.Errorf("%w: %w", err, ErrFenced)
	case stopped:
		return fmt.Errorf("%w: %w", err, ErrEnded)
	}
	return err
}

// QueueCompletion completes the lease's job. The caller's batch holds the job, see PipelineUnderLease, and
// River's own completion does the same in the same words.
func QueueCompletion(batch *pgx.Batch, lease Lease) {
	batch.Queue(fmt.Sprintf(completeJob, "$1"), lease.JobID)
}

// pipelineInFleet is PipelineInWorkspace of a transaction that sees every workspace's rows.
func (s *DB) pipelineInFleet(ctx context.Context, queue func(*pgx.Batch)) error {
	batch := &pgx.Batch{}
	queueBegin(batch, FleetRole)
	queue(batch)
	batch.Queue(`commit`)
	return s.pool.SendBatch(ctx, batch).Close()
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
