package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"millrace/store/session"
)

// Lease is one attempt's claim on a River job. Results are written under it: only while the job
// is still running as that attempt, and in the transaction that completes the job.
type Lease struct {
	Workspace uuid.UUID
	JobID     int64
	Attempt   int
	// Last says that no attempt follows this one if it fails; a job may be given attempts back.
	Last bool
	// Complete marks the job completed within tx; nil: it is completed by what commits, in one round trip.
	Complete func(ctx context.Context, tx pgx.Tx) error
}

// Failure is why what a job works on has failed for good.
type Failure struct {
	Reason string // for its user
	Final  bool   // another attempt would meet it again
}

// CompleteUnderLease saves a job's result and completes the job: fn runs under the lease and the lock of
// the entity that the job is about, and the job is completed in the same transaction. A lost lease is
// ErrFenced, and nothing is written.
func (s *DB) CompleteUnderLease(ctx context.Context, lease Lease, entity uuid.UUID, fn func(*Tx) error) error {
	if lease.Complete == nil {
		return s.underLease(ctx, lease, entity, fmt.Sprintf(completeJob, lease.JobID)+"; commit", fn)
	}
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

// completeJob is what River's own completion does. The transaction holds the job's row.
const completeJob = `update river_job set state = 'completed', finalized_at = clock_timestamp() where id = %v`

// ContinueUnderLease is CompleteUnderLease for an attempt that continues afterwards: the job stays
// running.
//
// Its statements wait for fn, so a process that freezes meanwhile keeps the lock until the server ends its
// session, after session.IdleHolding. A process has one such transaction of a workspace at a time, or its
// next one would get the lock when the first is ended, and keep it as long again.
func (s *DB) ContinueUnderLease(ctx context.Context, lease Lease, entity uuid.UUID, fn func(*Tx) error) error {
	return s.underLease(ctx, lease, entity, "commit", fn)
}

// ContinueInFleet is ContinueUnderLease for a job of the fleet, whose arguments name no workspace: fn sees every
// workspace's rows.
func (s *DB) ContinueInFleet(ctx context.Context, lease Lease, entity uuid.UUID, fn func(*Tx) error) error {
	begin := fmt.Sprintf("begin; set local role %s; %s; select hold_job('%s', '%s', %d, %d)",
		FleetRole, holdingLimit, lease.Workspace, entity, lease.JobID, lease.Attempt)
	err := s.InTx(ctx, begin, fn)
	return held(err)
}

// CompleteInFleet is CompleteUnderLease for a job of the fleet, see ContinueInFleet.
func (s *DB) CompleteInFleet(ctx context.Context, lease Lease, entity uuid.UUID, fn func(*Tx) error) error {
	return s.ContinueInFleet(ctx, lease, entity, func(tx *Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(completeJob, "$1"), lease.JobID); err != nil {
			return fmt.Errorf("complete job %d: %w", lease.JobID, err)
		}
		return nil
	})
}

func (s *DB) underLease(ctx context.Context, lease Lease, entity uuid.UUID, commit string, fn func(*Tx) error) error {
	release, err := s.holding.enter(ctx, lease.Workspace)
	if err != nil {
		return fmt.Errorf("lock %s: %w", entity, err)
	}
	defer release()
	// One round trip for all; what is filled in needs no quoting.
	begin := fmt.Sprintf("%s; %s; select hold_job('%s', '%s', %d, %d)",
		beginTenant, holdingLimit, lease.Workspace, entity, lease.JobID, lease.Attempt)
	err = s.inTx(ctx, s.spaces, uuid.Nil, begin, commit, fn)
	return held(err)
}

// beginTenant begins a transaction of a workspace, which is yet to be named.
const beginTenant = "begin; set local role " + WorkspaceRole

// holdingLimit has the server end the session of a client that freezes while it holds a lock which others
// wait for.
var holdingLimit = fmt.Sprintf("set local idle_in_transaction_session_timeout = %d", session.IdleHolding.Milliseconds())

// Lock serialises the transactions that change one entity: a tune, a walk-forward, an ingestion, a
// re-embedding. The folds of a walk-forward share its lock. Take it before the transaction's first
// event: events take their places in the log when they are written, so their order is that of the
// lock.
func Lock(ctx context.Context, tx pgx.Tx, entity uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		select set_config('idle_in_transaction_session_timeout', ($2::bigint)::text, true),
		       pg_advisory_xact_lock(hashtextextended(coalesce((select wfo_id from tunes where id = $1), $1)::text, 0))`,
		entity, session.IdleHolding.Milliseconds())
	if err != nil {
		return fmt.Errorf("lock %s: %w", entity, err)
	}
	return nil
}

// LockAll is Lock for several at once, in one order for every caller. Take it before any row.
func LockAll(ctx context.Context, tx pgx.Tx, entities []uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		select set_config('idle_in_transaction_session_timeout', ($2::bigint)::text, true), count(pg_advisory_xact_lock(key))
		  from (select distinct hashtextextended(coalesce(t.wfo_id, e.id)::text, 0) as key
		          from unnest($1::uuid[]) e (id) left join tunes t on t.id = e.id order by 1) keys`,
		entities, session.IdleHolding.Milliseconds())
	if err != nil {
		return fmt.Errorf("lock %d at once: %w", len(entities), err)
	}
	return nil
}

// CancelWaiting cancels those of the jobs that wait, and returns those that run, for their workers to be asked to stop. It
// holds the jobs, so that none is taken up meanwhile. They are found by their numbers: the policy that keeps workspaces
// apart makes a look at every job dear.
func CancelWaiting(ctx context.Context, tx pgx.Tx, jobs []int64) (running []int64, err error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	return ReadAll(ctx, tx, "jobs", pgx.RowTo[int64], `
		with own as materialized (
			select id, state from river_job
			 where id in (select unnest($1::bigint[])) and state in ('available', 'pending', 'retryable', 'scheduled', 'running')
			 order by id for update),
		waiting as (
			update river_job j set state = 'cancelled', finalized_at = clock_timestamp()
			  from own where j.id = own.id and own.state <> 'running')
		select id from own where state = 'running'`, jobs)
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
