package strategies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
	"millrace/store"
)

func (s *Store) insertCheck(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (job int64, err error) {
	inserted, err := s.db.River().InsertTx(ctx, tx, jobs.StrategyCheckArgs{WorkspaceID: workspace, StrategyID: id}, nil)
	if err != nil {
		return 0, fmt.Errorf("insert job: %w", err)
	}
	return inserted.Job.ID, nil
}

// checkAgain has a version examined again, from a report that holds what compiling it now finds.
func (s *Store) checkAgain(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID, report []byte) (Script, error) {
	job, err := s.insertCheck(ctx, tx, workspace, id)
	if err != nil {
		return Script{}, err
	}
	return one(ctx, tx, `
		update strategies set status = $3, report = $4, check_job_id = $5, checked_at = null
		 where workspace_id = $1 and id = $2 returning `+columns, workspace, id, Checking, report, job)
}

// ToCheck reads a version that is to be examined, also one that was erased meanwhile, and compiles it. It is
// ErrNotFound when the version is gone, and ErrEnded when its examination has ended.
func (s *Store) ToCheck(ctx context.Context, workspace, id uuid.UUID) (Script, *pine.Program, error) {
	var script Script
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		script, err = one(ctx, tx, `select `+columns+` from strategies where workspace_id = $1 and id = $2`, workspace, id)
		return err
	})
	if err == nil && script.Status != Checking {
		err = fmt.Errorf("the examination of script %s has %w", id, store.ErrEnded)
	}
	if err != nil {
		return script, nil, err
	}
	program, err := s.program(ctx, workspace, hash(script.SHA256))
	return script, program, err
}

// StatusOf is what an examination says of a version.
func StatusOf(e backtest.Examination) Status {
	switch {
	case e.Refusal != "":
		return Refused
	case len(e.Problems) > 0:
		return Unstable
	}
	return Ready
}

// FinishCheck stores what the examination of a version found, under the lease, which completes the job.
func (s *Store) FinishCheck(ctx context.Context, lease store.Lease, id uuid.UUID, found backtest.Examination) error {
	encoded, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("encode examination: %w", err)
	}
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		status := StatusOf(found)
		tag, err := tx.Exec(ctx, `
			update strategies set status = $3, report = jsonb_set(report, '{examination}', $4), checked_at = clock_timestamp()
			 where workspace_id = $1 and id = $2 and status = 'checking' and check_job_id = $5`,
			lease.Workspace, id, status, encoded, lease.JobID)
		if err != nil {
			return fmt.Errorf("store examination: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("the examination of script %s has %w", id, store.ErrEnded)
		}
		return store.AppendEvent(ctx, tx, lease.Workspace, "backtests", "backtest.strategy."+string(status), id.String(),
			map[string]any{"status": status})
	})
}

// Pending reports whether the version that a spec pins is still being examined. One that was refused is a
// *store.RefusedScriptError. A spec of a built-in strategy is not.
func (s *Store) Pending(ctx context.Context, workspace uuid.UUID, script *sweep.Script) (bool, error) {
	if script == nil {
		return false, nil
	}
	var status Status
	var reason string
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select status, coalesce(report -> 'examination' ->> 'refusal', '') from strategies
			 where workspace_id = $1 and id = $2`, workspace, script.ID).Scan(&status, &reason)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("script: %w", store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read status of script: %w", err)
		}
		return nil
	})
	if err == nil && status == Refused {
		err = &store.RefusedScriptError{Name: fmt.Sprintf("%s@%d", script.Name, script.Version), Reason: reason}
	}
	return err == nil && status == Checking, err
}
