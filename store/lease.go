package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"
)

// Lease is one attempt's claim on a River job. Results are written under it: only while the job
// is still running as that attempt, and in the transaction that completes the job.
type Lease struct {
	Workspace uuid.UUID
	JobID     int64
	Attempt   int
	// Last says that no attempt follows this one if it fails; a job may be given attempts back.
	Last bool
	// Complete marks the job completed within tx; River's JobCompleteTx is behind it.
	Complete func(ctx context.Context, tx pgx.Tx) error
}

// CompleteUnderLease saves a job's result and completes the job: fn runs under the lease and the lock of
// the entity that the job is about, and the job is completed in the same transaction. A lost lease is
// ErrFenced, and nothing is written.
func (s *DB) CompleteUnderLease(ctx context.Context, lease Lease, entity uuid.UUID, fn func(*Tx) error) error {
	return s.ContinueUnderLease(ctx, lease, entity, func(tx *Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if err := lease.Complete(ctx, tx); err != nil {
			return fmt.Errorf("complete job %d: %w", lease.JobID, err)
		}
		return nil
	})
}

// ContinueUnderLease is CompleteUnderLease for an attempt that continues afterwards: the job stays
// running.
func (s *DB) ContinueUnderLease(ctx context.Context, lease Lease, entity uuid.UUID, fn func(*Tx) error) error {
	return s.InWorkspace(ctx, lease.Workspace, func(tx *Tx) error {
		if err := Lock(ctx, tx, entity); err != nil {
			return err
		}
		if err := fence(ctx, tx, lease); err != nil {
			return err
		}
		return fn(tx)
	})
}

// fence locks the job's row and makes sure that this attempt still runs it. River's own completion
// checks only that some attempt is running, so a zombie would complete its successor. A job handed
// back by a stopping worker runs again under the same number, so the process must be the same too,
// where the connection names it.
func fence(ctx context.Context, tx pgx.Tx, lease Lease) error {
	var held int
	err := tx.QueryRow(ctx, `
		select 1 from river_job
		 where id = $1 and attempt = $2 and state = 'running'
		   and coalesce(nullif(current_setting('millrace.worker', true), '') = attempted_by[cardinality(attempted_by)], true)
		   for update`,
		lease.JobID, lease.Attempt).Scan(&held)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("job %d attempt %d: %w", lease.JobID, lease.Attempt, ErrFenced)
	}
	if err != nil {
		return fmt.Errorf("fence job %d: %w", lease.JobID, err)
	}
	return nil
}

// Lock serialises the transactions that change one entity: a tune, a walk-forward, an ingestion, a
// re-embedding. The folds of a walk-forward share its lock. Take it before the transaction's first
// event: events take their places in the log when they are written, so their order is that of the
// lock.
func Lock(ctx context.Context, tx pgx.Tx, entity uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		select pg_advisory_xact_lock(hashtextextended(coalesce((select wfo_id from tunes where id = $1), $1)::text, 0))`, entity)
	if err != nil {
		return fmt.Errorf("lock %s: %w", entity, err)
	}
	return nil
}

// JobState reads which attempt of a job is current and the state it is in.
func (s *DB) JobState(ctx context.Context, job int64) (attempt int, state rivertype.JobState, err error) {
	err = s.pool.QueryRow(ctx, `select attempt, state from river_job where id = $1`, job).Scan(&attempt, &state)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", fmt.Errorf("job %d: %w", job, ErrNotFound)
	}
	if err != nil {
		return 0, "", fmt.Errorf("read job %d: %w", job, err)
	}
	return attempt, state, nil
}
