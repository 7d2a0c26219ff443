package walkforward

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/admission"
	"millrace/store/tuning"
)

// Retryable reports whether another run can help.
func (w *Run) Retryable() bool { return (w.Status == Failed || w.Status == Canceled) && !w.Final }

// Retry has a walk-forward that failed or was cancelled run again, in the transaction of a submission; render makes the
// response that is kept with its key. See RetryIn.
func (s *Store) Retry(ctx context.Context, sub store.Submission, depth int, id uuid.UUID, render func(*Run, []Fold) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		retried, err := s.RetryIn(ctx, tx, sub.Workspace, id, depth)
		if err != nil {
			return store.Response{}, err
		}
		wfo, err := readWFO(ctx, tx, sub.Workspace, id)
		if err != nil {
			return store.Response{}, err
		}
		if !retried {
			return store.Response{}, &store.NotRetryableError{What: "walk-forward", Reason: string(wfo.Status)}
		}
		folds, err := readFolds(ctx, tx, id)
		if err != nil {
			return store.Response{}, err
		}
		return render(wfo, folds)
	})
}

// RetryIn has a walk-forward that failed or was cancelled run again as itself, and reports whether it did. Folds that came
// through stay; of the others the shards that are done. The candidates are gathered and judged again. It waits for the
// workspace's cap as when it was submitted, and counts against depth and the quota of trials as a tune does.
func (s *Store) RetryIn(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID, depth int) (bool, error) {
	if err := store.HoldDatasetsOf(ctx, tx, workspace, []uuid.UUID{id}); err != nil {
		return false, err
	}
	if err := store.Lock(ctx, tx, id); err != nil {
		return false, err
	}
	place, err := store.Room(ctx, tx, workspace)
	if err != nil {
		return false, err
	}
	// What deletes it waits now, or has hidden it before anything of it was changed.
	if _, err := tx.Exec(ctx, `select from wfo_runs where workspace_id = $1 and id = $2 for update`, workspace, id); err != nil {
		return false, fmt.Errorf("lock walk-forward %s: %w", id, err)
	}
	wfo, err := readWFO(ctx, tx, workspace, id)
	if err != nil {
		return false, err
	}
	if wfo.Status != Failed && wfo.Status != Canceled {
		return false, nil
	}
	if err := store.CheckQueueFor(ctx, tx, workspace, depth, 1); err != nil {
		return false, err
	}
	folds, trials, err := foldsLeft(ctx, tx, id)
	if err != nil {
		return false, err
	}
	last := &store.Tx{Tx: tx}
	if err := last.TakeTrials(workspace, place, trials); err != nil {
		return false, err
	}
	if err := last.RunLast(ctx); err != nil {
		return false, err
	}
	if err := tuning.Requeue(ctx, tx, s.db.River(), workspace, folds); err != nil {
		return false, err
	}
	if err := s.requeue(ctx, tx, wfo); err != nil {
		return false, err
	}
	if wfo, err = readWFO(ctx, tx, workspace, id); err != nil {
		return false, err
	}
	if err := appendWFOEvent(ctx, tx, wfo, string(Pending)); err != nil {
		return false, err
	}
	return true, admission.Next(ctx, tx, workspace)
}

// foldsLeft are the tunes of the folds that have no result, or whose trials retention has taken, and how many trials
// they have yet to run.
func foldsLeft(ctx context.Context, tx pgx.Tx, wfo uuid.UUID) (ids []uuid.UUID, trials int, err error) {
	rows, err := tx.Query(ctx, `
		select t.id, greatest(0, t.n_trials - case when t.trials_dropped_at is null
		                         then coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0) else 0 end)
		  from tunes t left join tune_progress p on p.tune_id = t.id
		 where t.wfo_id = $1 and (t.status <> 'completed' or t.trials_dropped_at is not null) order by t.wfo_fold`, wfo)
	if err != nil {
		return nil, 0, fmt.Errorf("find folds of %s to retry: %w", wfo, err)
	}
	var id uuid.UUID
	left := 0
	_, err = pgx.ForEachRow(rows, []any{&id, &left}, func() error {
		ids, trials = append(ids, id), trials+left
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("find folds of %s to retry: %w", wfo, err)
	}
	return ids, trials, nil
}

// requeue has the walk-forward wait again, with nothing judged.
func (s *Store) requeue(ctx context.Context, tx pgx.Tx, wfo *Run) error {
	job, err := s.db.River().InsertTx(ctx, tx, jobs.WFOCandidatesArgs{WorkspaceID: wfo.WorkspaceID, WFOID: wfo.ID}, &river.InsertOpts{Pending: true})
	if err != nil {
		return fmt.Errorf("insert candidates job: %w", err)
	}
	// A fold that cannot be run has no tune, and stays failed.
	_, err = tx.Exec(ctx, `
		with tune as materialized (
			select t.wfo_fold, t.status = 'completed' as completed, coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0) as trials
			  from tunes t left join tune_progress p on p.tune_id = t.id where t.wfo_id = $1),
		folds as (
			update wfo_folds f
			   set status = case when tune.completed then 'completed' else 'pending' end, error = null,
			       top = case when tune.completed then f.top end, score_job_id = null, scored = false, scores = null, stretch = null
			  from tune where f.wfo_id = $1 and f.fold = tune.wfo_fold),
		counted as (
			update wfo_progress p
			   set folds_done = r.n_folds - left_open.folds, folds_failed = r.n_folds - (select count(*) from tune),
			       trials_done = left_open.trials, trials_kept = left_open.trials, scores_next = 0, scores_done = 0
			  from wfo_runs r, (select count(*) filter (where not completed) as folds, coalesce(sum(trials), 0) as trials from tune) left_open
			 where p.wfo_id = $1 and r.id = $1)
		update wfo_runs
		   set status = 'pending', admitted = false, error = null, final = false, started_at = null, completed_at = null, candidates = null,
		       collect_job_id = null, candidates_job_id = $2, retries = retries + 1
		 where id = $1`, wfo.ID, job.Job.ID)
	if err != nil {
		return fmt.Errorf("queue walk-forward %s again: %w", wfo.ID, err)
	}
	return nil
}
