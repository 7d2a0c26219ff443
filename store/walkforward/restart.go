package walkforward

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/store"
	"millrace/store/admission"
)

// Restart has the folds of an older engine run again, by the lease of the job that found out. What was
// judged is dropped, and the candidates are gathered when they have ended. ErrEnded when the walk-forward
// has ended.
func (s *Store) Restart(ctx context.Context, lease store.Lease, id uuid.UUID, stamp backtest.Stamp) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		wfo, err := readWFO(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := wfo.running(); err != nil {
			return err
		}
		if err := s.cancelWFOJobs(ctx, tx, id, lease.JobID); err != nil {
			return err
		}
		folds, err := s.planFoldsAgain(ctx, tx, wfo, stamp)
		if err != nil {
			return err
		}
		job, err := s.db.River().InsertTx(ctx, tx, jobs.WFOCandidatesArgs{WorkspaceID: wfo.WorkspaceID, WFOID: id}, &river.InsertOpts{Pending: true})
		if err != nil {
			return fmt.Errorf("insert candidates job: %w", err)
		}
		_, err = tx.Exec(ctx, `
			with judged as (
				update wfo_folds set status = case when fold = any ($2) then 'pending' else status end,
				                     top = case when fold = any ($2) then null else top end,
				                     score_job_id = null, scored = false, scores = null, stretch = null
				 where wfo_id = $1),
			counted as (
				update wfo_progress set folds_done = folds_done - cardinality($2), trials_done = trials_done - cardinality($2) * $3::bigint,
				                        scores_next = 0, scores_done = 0
				 where wfo_id = $1)
			update wfo_runs set candidates = null, collect_job_id = null, candidates_job_id = $4 where id = $1`,
			id, folds, wfo.Trials, job.Job.ID)
		if err != nil {
			return fmt.Errorf("restart folds of walk-forward %s: %w", id, err)
		}
		return admission.EnqueueFolds(ctx, tx, id, false)
	})
}

// planFoldsAgain drops the results of the folds that are of another stamp and gives each a plan job, held
// back. It returns which folds.
func (s *Store) planFoldsAgain(ctx context.Context, tx *store.Tx, wfo *Run, stamp backtest.Stamp) ([]int32, error) {
	rows, err := tx.Query(ctx, `
		select id, wfo_fold from tunes
		 where wfo_id = $1 and status = 'completed' and (coalesce(engine, ''), coalesce(semantics, '')) <> ($2, $3)
		 order by wfo_fold`, wfo.ID, stamp.Engine, stamp.Semantics)
	if err != nil {
		return nil, fmt.Errorf("find folds of another engine of %s: %w", wfo.ID, err)
	}
	var ids []uuid.UUID
	var folds []int32
	var params []river.InsertManyParams
	var tune uuid.UUID
	var fold int32
	_, err = pgx.ForEachRow(rows, []any{&tune, &fold}, func() error {
		ids, folds = append(ids, tune), append(folds, fold)
		params = append(params, river.InsertManyParams{Args: jobs.TunePlanArgs{WorkspaceID: wfo.WorkspaceID, TuneID: tune, Own: true}, InsertOpts: &river.InsertOpts{Pending: true}})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find folds of another engine of %s: %w", wfo.ID, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("the folds of walk-forward %s are of engine %s by now: %w", wfo.ID, stamp.Engine, store.ErrEnded)
	}
	inserted, err := s.db.River().InsertManyTx(ctx, tx, params)
	if err != nil {
		return nil, fmt.Errorf("insert plan jobs of folds: %w", err)
	}
	plans := make([]int64, len(inserted))
	for i, job := range inserted {
		plans[i] = job.Job.ID
	}
	_, err = tx.Exec(ctx, `
		with shards as (delete from tune_shards where tune_id = any ($1)),
		     progress as (delete from tune_progress where tune_id = any ($1)),
		     leaders as (delete from tune_leaderboard where tune_id = any ($1))
		update tunes t set status = 'queued', admitted = false, plan_job_id = u.job, started_at = null, completed_at = null,
		                   outcome = null, ranking = null, regime = null, manifest = null, manifest_sha256 = null,
		                   restarted_from = coalesce(engine, ''), engine = $3, semantics = $4, left_by = null
		  from unnest($1::uuid[], $2::bigint[]) u (id, job) where t.id = u.id`, ids, plans, stamp.Engine, stamp.Semantics)
	if err != nil {
		return nil, fmt.Errorf("restart folds of walk-forward %s: %w", wfo.ID, err)
	}
	return folds, nil
}
