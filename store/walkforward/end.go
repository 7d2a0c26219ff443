package walkforward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/admission"
	"millrace/store/tuning"
)

// end gives a walk-forward its final status, records it, cancels what of it still runs but for the
// asking job, and admits the workspace's next. The caller holds its lock. One that had ended before is
// ErrEnded, and nothing changes.
func (s *Store) end(ctx context.Context, tx *store.Tx, wfo *Run, status Status, reason string, asking int64) error {
	// Before its row, in the order in which admission takes them.
	if _, _, err := admission.Room(ctx, tx, wfo.WorkspaceID); err != nil {
		return err
	}
	var now time.Time
	err := tx.QueryRow(ctx, `
		update wfo_runs set status = $2, error = nullif($3, ''), final = $4, completed_at = clock_timestamp()
		 where id = $1 and status in ('pending', 'running') returning completed_at`, wfo.ID, status, reason, wfo.Final).Scan(&now)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("walk-forward %s: %w", wfo.ID, &store.EndedError{What: "walk-forward", State: string(wfo.Status)})
	}
	if err != nil {
		return fmt.Errorf("end walk-forward %s: %w", wfo.ID, err)
	}
	if status == Failed || status == Canceled {
		if err := s.cancelFolds(ctx, tx, wfo, asking); err != nil {
			return err
		}
	}
	wfo.Status, wfo.Error, wfo.CompletedAt = status, reason, &now
	if err := appendWFOEvent(ctx, tx, wfo, string(status)); err != nil {
		return err
	}
	if err := s.db.Schedules().Ended(ctx, tx, wfo.WorkspaceID, wfo.ID); err != nil {
		return err
	}
	var took time.Duration
	if wfo.StartedAt != nil {
		took = now.Sub(*wfo.StartedAt)
	}
	tx.AfterCommit(func() { s.db.Recorder().WalkForwardEnded(string(status), took) })
	return admission.Next(ctx, tx, wfo.WorkspaceID)
}

// cancelFolds cancels the tunes that have not ended, and every job of the walk-forward.
func (s *Store) cancelFolds(ctx context.Context, tx *store.Tx, wfo *Run, asking int64) error {
	rows, err := tx.Query(ctx, `
		update tunes t set status = 'canceled', completed_at = clock_timestamp()
		 where wfo_id = $1 and status in ('queued', 'running')
		returning t.id, t.wfo_fold, t.n_trials,
		          coalesce((select trials_completed + trials_skipped + trials_failed from tune_progress p where p.tune_id = t.id), 0)`, wfo.ID)
	if err != nil {
		return fmt.Errorf("cancel folds of %s: %w", wfo.ID, err)
	}
	canceled, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*tuning.Tune, error) {
		t := &tuning.Tune{WorkspaceID: wfo.WorkspaceID, Status: tuning.Canceled, Fold: &tuning.FoldOf{WFO: wfo.ID}}
		return t, row.Scan(&t.ID, &t.Fold.Index, &t.Trials, &t.Progress.Completed)
	})
	if err != nil {
		return fmt.Errorf("cancel folds of %s: %w", wfo.ID, err)
	}
	_, err = tx.Exec(ctx, `
		update wfo_folds set status = 'canceled' where wfo_id = $1 and status in ('pending', 'running')`, wfo.ID)
	if err != nil {
		return fmt.Errorf("cancel folds of %s: %w", wfo.ID, err)
	}
	for _, tune := range canceled {
		if err := tuning.AppendEvent(ctx, tx, tune, string(tuning.Canceled), nil); err != nil {
			return err
		}
		if err := appendFoldEvent(ctx, tx, tune, FoldCanceled, ""); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			s.db.Recorder().FoldEnded(string(tuning.Canceled))
			s.db.Recorder().TuneEnded(string(tuning.Canceled))
		})
	}
	return s.cancelWFOJobs(ctx, tx, wfo.ID, asking)
}

// cancelWFOJobs ends every job that the walk-forward and its canceled tunes still have, but for the
// one that asks: those that wait at once, and those that run through their workers.
func (s *Store) cancelWFOJobs(ctx context.Context, tx pgx.Tx, wfo uuid.UUID, asking int64) error {
	own, err := store.ReadAll(ctx, tx, "jobs", pgx.RowTo[int64], `
		select distinct id from (
			select plan_job_id as id from tunes where wfo_id = $1 and status = 'canceled'
			union all
			select s.job_id from tunes t join tune_shards s on s.tune_id = t.id
			 where t.wfo_id = $1 and t.status = 'canceled' and s.job_id is not null and not s.done
			union all
			select p.collect_job_id from tunes t join tune_progress p on p.tune_id = t.id
			 where t.wfo_id = $1 and t.status = 'canceled'
			union all
			select score_job_id from wfo_folds where wfo_id = $1
			union all
			select unnest(array[candidates_job_id, collect_job_id]) from wfo_runs where id = $1) own
		 where id <> $2`, wfo, asking)
	if err != nil {
		return fmt.Errorf("cancel jobs of walk-forward %s: %w", wfo, err)
	}
	running, err := store.CancelWaiting(ctx, tx, own)
	if err != nil {
		return fmt.Errorf("cancel jobs of walk-forward %s: %w", wfo, err)
	}
	for _, job := range running {
		if _, err := s.db.River().JobCancelTx(ctx, tx, job); err != nil {
			return fmt.Errorf("cancel job %d: %w", job, err)
		}
	}
	return nil
}

// Cancel ends a walk-forward for its user, and with it the tunes of its folds. ErrEnded when it
// had ended before.
func (s *Store) Cancel(ctx context.Context, workspace, id uuid.UUID) (*Run, error) {
	var wfo *Run
	err := s.db.Change(ctx, workspace, func(tx *store.Tx) (err error) {
		wfo, err = s.cancel(ctx, tx, workspace, id)
		return err
	})
	return wfo, err
}

// CancelIn is Cancel in the transaction of a deletion, or of many that are cancelled at once.
func (s *Store) CancelIn(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID) error {
	_, err := s.cancel(ctx, tx, workspace, id)
	return err
}

func (s *Store) cancel(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID) (*Run, error) {
	if err := store.Lock(ctx, tx, id); err != nil {
		return nil, err
	}
	wfo, err := readWFO(ctx, tx, workspace, id)
	if err != nil {
		return nil, err
	}
	return wfo, s.end(ctx, tx, wfo, Canceled, "", 0)
}

// Fail ends a walk-forward that cannot be worked under the lease of
// the job that found out. ErrEnded when it had ended before.
func (s *Store) Fail(ctx context.Context, lease store.Lease, id uuid.UUID, failure store.Failure) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		wfo, err := readWFO(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		wfo.Final = failure.Final
		return s.end(ctx, tx, wfo, Failed, failure.Reason, lease.JobID)
	})
}
