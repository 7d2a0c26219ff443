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
	// Complete marks the job completed within tx; River's JobCompleteTx is behind it.
	Complete func(ctx context.Context, tx pgx.Tx) error
}

// UnderLease saves a result that another package keeps: fn runs under the lease, in a transaction
// that also completes the job, once at a time for each id. ErrFenced means that nothing is written.
func (s *DB) UnderLease(ctx context.Context, lease Lease, id uuid.UUID, fn func(pgx.Tx) error) error {
	return s.InLease(ctx, lease, id, fn)
}

// InLease runs fn under the tune's lock and the fence, then completes the job in the same
// transaction. A lost lease is ErrFenced, and nothing is written.
func (s *DB) InLease(ctx context.Context, lease Lease, tune uuid.UUID, fn func(pgx.Tx) error) error {
	return s.underLock(ctx, lease, func(tx pgx.Tx) error { return LockTune(ctx, tx, tune) }, fn)
}

// InWFOLease is InLease for the jobs of a walk-forward.
func (s *DB) InWFOLease(ctx context.Context, lease Lease, wfo uuid.UUID, fn func(pgx.Tx) error) error {
	return s.underLock(ctx, lease, func(tx pgx.Tx) error { return LockRoot(ctx, tx, wfo) }, fn)
}

func (s *DB) underLock(ctx context.Context, lease Lease, lock, fn func(pgx.Tx) error) error {
	return s.InWorkspace(ctx, lease.Workspace, func(tx pgx.Tx) error {
		if err := lock(tx); err != nil {
			return err
		}
		if err := Fence(ctx, tx, lease); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		if err := lease.Complete(ctx, tx); err != nil {
			return fmt.Errorf("complete job %d: %w", lease.JobID, err)
		}
		return nil
	})
}

// Fence locks the job's row and makes sure that this attempt still runs it. River's own completion
// checks only that some attempt is running, so a zombie would complete its successor. A job handed
// back by a stopping worker runs again under the same number, so the process must be the same too,
// where the connection tells it.
func Fence(ctx context.Context, tx pgx.Tx, lease Lease) error {
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

// LockTune serialises the transactions that tell of one tune, and for a fold those that tell of its
// whole walk-forward. It comes before the transaction's first write on purpose: the transaction id,
// and with it the event's place in the stream, is then given in the order in which the lock was.
func LockTune(ctx context.Context, tx pgx.Tx, tune uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		select pg_advisory_xact_lock(hashtextextended(coalesce(wfo_id, id)::text, 0)) from tunes where id = $1`, tune)
	if err != nil {
		return fmt.Errorf("lock tune %s: %w", tune, err)
	}
	return nil
}

// LockRoot is LockTune for what is not a fold: a walk-forward, by its id.
func LockRoot(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, id.String())
	if err != nil {
		return fmt.Errorf("lock %s: %w", id, err)
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
