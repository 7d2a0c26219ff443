package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/store"
)

// Restart gives up what shards of an older engine found and plans the tune again under the stamp, by the
// lease of the job that found out. From then on only workers of that stamp, or a later one, work it. A tune
// that has ended or was restarted meanwhile is left alone: ErrEnded.
func (s *Store) Restart(ctx context.Context, lease store.Lease, id uuid.UUID, stamp backtest.Stamp) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := tune.still(Running); err != nil {
			return err
		}
		if !tune.Stamp.Before(stamp) {
			return fmt.Errorf("tune %s is of engine %s by now: %w", id, tune.Stamp.Engine, store.ErrEnded)
		}
		if err := s.cancelOtherJobs(ctx, tx, id, lease.JobID); err != nil {
			return err
		}
		ended := tune.Progress.Completed + tune.Progress.Skipped + tune.Progress.Failed
		if err := s.folds.FoldAdvanced(ctx, tx, tune, -ended); err != nil {
			return err
		}
		if err := s.planAgain(ctx, tx, tune, stamp); err != nil {
			return err
		}
		tune.Status, tune.Progress = Queued, Progress{}
		return AppendEvent(ctx, tx, tune, "queued", nil)
	})
}

// Leave notes that workers of a later engine leave a running tune to those of its own.
func (s *Store) Leave(ctx context.Context, tune *Tune, later backtest.Stamp) error {
	if tune.LeftBy != nil && *tune.LeftBy == later.Engine {
		return nil
	}
	return s.db.InWorkspace(ctx, tune.WorkspaceID, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			update tunes set left_by = $2
			 where id = $1 and status = 'running' and (coalesce(engine, ''), coalesce(semantics, '')) = ($3, $4)`,
			tune.ID, later.Engine, tune.Stamp.Engine, tune.Stamp.Semantics)
		if err != nil {
			return fmt.Errorf("leave tune %s to workers of engine %s: %w", tune.ID, tune.Stamp.Engine, err)
		}
		return nil
	})
}

// planAgain drops a tune's shards and gives it a plan job.
func (s *Store) planAgain(ctx context.Context, tx *store.Tx, tune *Tune, stamp backtest.Stamp) error {
	job, err := s.db.River().InsertTx(ctx, tx, jobs.TunePlanArgs{WorkspaceID: tune.WorkspaceID, TuneID: tune.ID},
		&river.InsertOpts{Priority: jobs.PriorityShare})
	if err != nil {
		return fmt.Errorf("insert plan job: %w", err)
	}
	_, err = tx.Exec(ctx, `
		with shards as (delete from tune_shards where tune_id = $1),
		     progress as (delete from tune_progress where tune_id = $1)
		update tunes set status = 'queued', started_at = null, plan_job_id = $2, restarted_from = coalesce(engine, ''),
		                 engine = $3, semantics = $4, left_by = null
		 where id = $1`, tune.ID, job.Job.ID, stamp.Engine, stamp.Semantics)
	if err != nil {
		return fmt.Errorf("restart tune %s: %w", tune.ID, err)
	}
	return nil
}
