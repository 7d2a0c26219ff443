package tuning

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/admission"
)

// end gives a tune its final status, records it, and admits the next; the end of a fold is reported
// to its walk-forward. The caller holds the tune's lock. A tune that had ended before is ErrEnded, and
// nothing changes.
func (s *Store) end(ctx context.Context, tx *store.Tx, tune *Tune, status Status, reason string) error {
	// Before the tune's row, in the order in which admission takes them.
	if _, _, err := admission.Room(ctx, tx, tune.WorkspaceID); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `
		update tunes set status = $2, error = nullif($3, ''), final = $4, completed_at = clock_timestamp()
		 where id = $1 and status in ('queued', 'running') returning completed_at`, tune.ID, status, reason, tune.Final).Scan(&tune.CompletedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("tune %s: %w", tune.ID, &store.EndedError{What: "tune", State: string(tune.Status)})
	}
	if err != nil {
		return fmt.Errorf("end tune %s: %w", tune.ID, err)
	}
	tune.Status, tune.Error = status, reason
	tx.AfterCommit(func() { s.db.Recorder().TuneEnded(string(status)) })
	if err := AppendEvent(ctx, tx, tune, string(status), nil); err != nil {
		return err
	}
	if tune.Fold != nil {
		return s.folds.FoldEnded(ctx, tx, tune)
	}
	if err := s.reportEnd(ctx, tx, tune); err != nil {
		return err
	}
	return admission.Next(ctx, tx, tune.WorkspaceID)
}

// reportEnd records the end of a tune with the run plan that it is part of and the schedules that submitted it.
func (s *Store) reportEnd(ctx context.Context, tx *store.Tx, tune *Tune) error {
	if err := s.variantEnded(ctx, tx, tune); err != nil {
		return err
	}
	return s.db.Schedules().Ended(ctx, tx, tune.WorkspaceID, tune.ID)
}

// Cancel ends a tune for its user: jobs that wait are cancelled, and those that run are asked to
// stop. ErrEnded when it had ended before.
func (s *Store) Cancel(ctx context.Context, workspace, id uuid.UUID) (*Tune, error) {
	var tune *Tune
	err := s.db.Change(ctx, workspace, func(tx *store.Tx) (err error) {
		if err := store.Lock(ctx, tx, id); err != nil {
			return err
		}
		if tune, err = readTune(ctx, tx, workspace, id); err != nil {
			return err
		}
		if err := s.end(ctx, tx, tune, Canceled, ""); err != nil {
			return err
		}
		return s.cancelOtherJobs(ctx, tx, id, 0)
	})
	return tune, err
}

// cancelOtherJobs cancels every job the tune still has, but for the one that asks.
func (s *Store) cancelOtherJobs(ctx context.Context, tx pgx.Tx, tune uuid.UUID, asking int64) error {
	rows, err := tx.Query(ctx, `
		select j.id from river_job j
		  join (select plan_job_id as id from tunes where id = $1
		        union all
		        select job_id from tune_shards where tune_id = $1 and job_id is not null and not done
		        union all
		        select collect_job_id from tune_progress where tune_id = $1) own on own.id = j.id
		 where j.finalized_at is null and j.id <> $2
		 order by j.id`, tune, asking)
	if err != nil {
		return fmt.Errorf("list jobs of tune %s: %w", tune, err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("list jobs of tune %s: %w", tune, err)
	}
	for _, job := range open {
		if _, err := s.db.River().JobCancelTx(ctx, tx, job); err != nil {
			return fmt.Errorf("cancel job %d: %w", job, err)
		}
	}
	return nil
}
