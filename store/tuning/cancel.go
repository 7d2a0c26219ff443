package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/admission"
)

// CancelIn is Cancel of many tunes in one transaction, in as many statements as for one. Those that have ended, and
// folds of walk-forwards, are left as they are. It returns the ids of those it canceled.
func (s *Store) CancelIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, ids []uuid.UUID) ([]uuid.UUID, error) {
	if err := store.LockAll(ctx, tx, ids); err != nil {
		return nil, err
	}
	if _, _, err := admission.Room(ctx, tx, workspace); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		with ended as (
			update tunes set status = 'canceled', error = null, completed_at = clock_timestamp()
			 where workspace_id = $1 and id = any($2) and wfo_id is null and status in ('queued', 'running')
			returning id, n_trials),
		recorded as (
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select $1, 'backtests', 'backtest.tune.canceled', e.id::text,
			       jsonb_build_object('status', 'canceled', 'n_trials', e.n_trials,
			           'trials_completed', coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0) + open.done,
			           'share_done', least(1, greatest(0, coalesce((coalesce(p.work_done, 0) + open.work) / nullif(coalesce(p.work, e.n_trials), 0), 0))),
			           'best_score', p.best_score, 'best_trial', p.best_trial, 'eta_seconds', null)
			  from ended e left join tune_progress p on p.tune_id = e.id,
			       lateral (select coalesce(sum(s.trials_done) filter (where not s.open and s.rung < $3), 0) as done,
			                       coalesce(sum(s.trials_done * s.cost), 0) as work
			                  from tune_shards s where s.tune_id = e.id and s.job_id is not null and not s.done) open)
		select id from ended`, workspace, ids, sweep.PermutedRung)
	if err != nil {
		return nil, fmt.Errorf("cancel tunes: %w", err)
	}
	canceled, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("cancel tunes: %w", err)
	}
	tx.AfterCommit(func() {
		for range canceled {
			s.db.Recorder().TuneEnded(string(Canceled))
		}
	})
	if err := s.variantsCanceled(ctx, tx, workspace, canceled); err != nil {
		return nil, err
	}
	if err := s.cancelJobsOf(ctx, tx, canceled); err != nil {
		return nil, err
	}
	if err := s.db.Schedules().Ended(ctx, tx, workspace, canceled...); err != nil {
		return nil, err
	}
	return canceled, admission.Next(ctx, tx, workspace)
}

// CancelRunPlansIn is CancelIn of the variants of run plans that are running, and returns of how many plans it canceled any.
func (s *Store) CancelRunPlansIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, plans []uuid.UUID) (int, error) {
	variants, err := store.ReadAll(ctx, tx, "variants", pgx.RowTo[uuid.UUID], `
		select v.tune_id from run_plan_variants v join run_plans p on p.id = v.run_plan_id
		 where p.workspace_id = $1 and p.id = any($2) and p.status = 'running' order by v.run_plan_id, v.ordinal`, workspace, plans)
	if err != nil {
		return 0, err
	}
	canceled, err := s.CancelIn(ctx, tx, workspace, variants)
	if err != nil {
		return 0, err
	}
	return store.ReadOne(ctx, tx, "run plans", pgx.RowTo[int], `select count(distinct run_plan_id) from run_plan_variants where tune_id = any($1)`, canceled)
}

// variantsCanceled reports those that are variants to their run plans.
func (s *Store) variantsCanceled(ctx context.Context, tx *store.Tx, workspace uuid.UUID, canceled []uuid.UUID) error {
	variants, err := store.ReadAll(ctx, tx, "variants", pgx.RowTo[uuid.UUID],
		`select tune_id from run_plan_variants where tune_id = any($1) order by run_plan_id, ordinal`, canceled)
	if err != nil {
		return err
	}
	for _, id := range variants {
		tune, err := readTune(ctx, tx, workspace, id)
		if err != nil {
			return err
		}
		if err := s.variantEnded(ctx, tx, tune); err != nil {
			return err
		}
	}
	return nil
}

// cancelJobsOf ends every job that the tunes still have: those that wait at once, and those that run through their
// workers.
func (s *Store) cancelJobsOf(ctx context.Context, tx pgx.Tx, tunes []uuid.UUID) error {
	own, err := store.ReadAll(ctx, tx, "jobs", pgx.RowTo[int64], `
		select plan_job_id as id from tunes where id = any($1) and plan_job_id is not null
		union
		select job_id from tune_shards where tune_id = any($1) and job_id is not null and not done
		union
		select collect_job_id from tune_progress where tune_id = any($1) and collect_job_id is not null
		 order by 1`, tunes)
	if err != nil || len(own) == 0 {
		return err
	}
	running, err := store.CancelWaiting(ctx, tx, own)
	if err != nil {
		return err
	}
	for _, job := range running {
		if _, err := s.db.River().JobCancelTx(ctx, tx, job); err != nil {
			return fmt.Errorf("cancel job %d: %w", job, err)
		}
	}
	return nil
}
