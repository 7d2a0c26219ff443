package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/admission"
)

// Retryable reports whether another run can help. A fold runs again with its walk-forward only.
func (t *Tune) Retryable() bool {
	return (t.Status == Failed || t.Status == Canceled) && !t.Final && t.Fold == nil
}

// Retry has a tune that failed or was cancelled run again, in the transaction of a submission; render makes the response
// that is kept with its key. See RetryIn.
func (s *Store) Retry(ctx context.Context, sub store.Submission, depth int, id uuid.UUID, render func(*Tune) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		retried, err := s.RetryIn(ctx, tx, sub.Workspace, []uuid.UUID{id}, depth)
		if err != nil {
			return store.Response{}, err
		}
		tune, err := readTune(ctx, tx, sub.Workspace, id)
		if err != nil {
			return store.Response{}, err
		}
		switch {
		case tune.Fold != nil:
			return store.Response{}, &store.NotRetryableError{What: "tune", Reason: "a fold of walk-forward " + tune.Fold.WFO.String() + ": retry that"}
		case len(retried) == 0:
			return store.Response{}, &store.NotRetryableError{What: "tune", Reason: string(tune.Status)}
		}
		return render(tune)
	})
}

// RetryIn has tunes that failed or were cancelled run again as themselves, in as many statements as for one, and returns
// the ids of those it took up. The shards that are done stay, and what is left is worked from where it was. They wait for
// the workspace's cap as when they were submitted, before what was submitted after them, and count against depth, the work
// that may be open, and the quota of trials with those that have not ended. Others are left as they are, and so are folds
// of walk-forwards.
func (s *Store) RetryIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, ids []uuid.UUID, depth int) ([]uuid.UUID, error) {
	if err := store.HoldDatasetsOf(ctx, tx, workspace, ids); err != nil {
		return nil, err
	}
	if err := store.LockAll(ctx, tx, ids); err != nil {
		return nil, err
	}
	place, err := store.Room(ctx, tx, workspace)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		select t.id, greatest(0, t.n_trials - case when t.trials_dropped_at is null
		                         then coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0) else 0 end) as trials
		  from tunes t left join tune_progress p on p.tune_id = t.id
		 where t.workspace_id = $1 and t.id = any($2) and t.wfo_id is null and t.status in ('failed', 'canceled')
		 order by t.created_at, t.id for update of t`, workspace, ids)
	if err != nil {
		return nil, fmt.Errorf("find tunes to retry: %w", err)
	}
	var retried []uuid.UUID
	var id uuid.UUID
	left, trials := 0, 0
	_, err = pgx.ForEachRow(rows, []any{&id, &left}, func() error {
		retried, trials = append(retried, id), trials+left
		return nil
	})
	if err != nil || len(retried) == 0 {
		return nil, err
	}
	if err := store.CheckQueueFor(ctx, tx, workspace, depth, len(retried)); err != nil {
		return nil, err
	}
	last := &store.Tx{Tx: tx}
	if err := last.TakeTrials(workspace, place, trials); err != nil {
		return nil, err
	}
	if err := last.RunLast(ctx); err != nil {
		return nil, err
	}
	if err := Requeue(ctx, tx, s.db.River(), workspace, retried); err != nil {
		return nil, err
	}
	if err := s.variantsRetried(ctx, tx, retried); err != nil {
		return nil, err
	}
	return retried, admission.Next(ctx, tx, workspace)
}

// Requeue has tunes wait again that failed or were cancelled, each with a plan job that is held back, and keeps their
// shards that are done. The caller holds their locks.
func Requeue(ctx context.Context, tx *store.Tx, queue store.Jobs, workspace uuid.UUID, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		params[i] = river.InsertManyParams{
			Args: jobs.TunePlanArgs{WorkspaceID: workspace, TuneID: id}, InsertOpts: &river.InsertOpts{Pending: true, Priority: jobs.PriorityShare},
		}
	}
	inserted, err := queue.InsertManyTx(ctx, tx, params)
	if err != nil {
		return fmt.Errorf("insert plan jobs: %w", err)
	}
	plans := make([]int64, len(inserted))
	for i, job := range inserted {
		plans[i] = job.Job.ID
	}
	// What retention took the trials of begins from nothing.
	_, err = tx.Exec(ctx, `
		with again as materialized (
			select t.id, t.workspace_id, t.n_trials, u.job, t.trials_dropped_at is not null as dropped
			  from unnest($1::uuid[], $2::bigint[]) u (id, job) join tunes t on t.id = u.id),
		shards_gone as (delete from tune_shards s using again a where a.dropped and s.tune_id = a.id),
		leaders_gone as (delete from tune_leaderboard l using again a where a.dropped and l.tune_id = a.id),
		progress_gone as (delete from tune_progress p using again a where a.dropped and p.tune_id = a.id),
		shards as (
			update tune_shards s set job_id = null, attempt = null, trials_done = 0
			  from again a where not a.dropped and s.tune_id = a.id and s.job_id is not null and not s.done),
		progress as (
			update tune_progress p set collect_job_id = null, work_kept = work_done from again a where not a.dropped and p.tune_id = a.id),
		recorded as (
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select a.workspace_id, 'backtests', 'backtest.tune.queued', a.id::text,
			       jsonb_build_object('status', 'queued', 'n_trials', a.n_trials,
			           'trials_completed', coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0),
			           'share_done', least(1, greatest(0, coalesce(p.work_done / nullif(coalesce(p.work, a.n_trials), 0), 0))),
			           'best_score', p.best_score, 'best_trial', p.best_trial, 'eta_seconds', null)
			  from again a left join tune_progress p on p.tune_id = a.id and not a.dropped)
		update tunes t
		   set status = 'queued', admitted = false, plan_job_id = a.job, error = null, final = false, started_at = null, completed_at = null,
		       trials_dropped_at = null, left_by = null, outcome = null, ranking = null, regime = null, manifest = null, manifest_sha256 = null,
		       retries = retries + 1
		  from again a where t.id = a.id`, ids, plans)
	if err != nil {
		return fmt.Errorf("queue tunes again: %w", err)
	}
	return nil
}

// variantsRetried has the run plans of tunes that run again be running.
func (s *Store) variantsRetried(ctx context.Context, tx *store.Tx, retried []uuid.UUID) error {
	rows, err := tx.Query(ctx, `
		update run_plans p set status = 'running', completed_at = null, variants_done = v.done, variants_failed = v.failed
		  from (select v.run_plan_id, count(*) filter (where t.status in ('completed', 'failed', 'canceled')) as done,
		               count(*) filter (where t.status in ('failed', 'canceled')) as failed
		          from run_plan_variants v join tunes t on t.id = v.tune_id
		         where v.run_plan_id in (select run_plan_id from run_plan_variants where tune_id = any($1)) group by 1) v
		 where p.id = v.run_plan_id
		returning `+runPlanColumns, retried)
	if err != nil {
		return fmt.Errorf("find run plans of retried tunes: %w", err)
	}
	plans, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[RunPlan])
	if err != nil {
		return fmt.Errorf("find run plans of retried tunes: %w", err)
	}
	for _, plan := range plans {
		payload := runPlanEvent{plan.Status, plan.Variants, plan.VariantsDone, plan.VariantsFailed}
		if err := dropCrumb(ctx, tx, plan, "RUN_RETRIED", payload); err != nil {
			return err
		}
		if err := store.AppendEvent(ctx, tx, plan.WorkspaceID, "backtests", "backtest.run_plan.progress", plan.ID.String(), payload); err != nil {
			return err
		}
	}
	return nil
}

// RetryRunPlan has the variants of a plan run again that failed or were cancelled, and renders the plan.
func (s *Store) RetryRunPlan(ctx context.Context, sub store.Submission, depth int, id uuid.UUID, render func(*RunPlan, []RunPlanVariant) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		before, err := readRunPlan(ctx, tx, sub.Workspace, id)
		if err != nil {
			return store.Response{}, err
		}
		retried, err := s.RetryRunPlansIn(ctx, tx, sub.Workspace, []uuid.UUID{id}, depth)
		if err != nil {
			return store.Response{}, err
		}
		if len(retried) == 0 {
			return store.Response{}, &store.NotRetryableError{What: "run plan", Reason: string(before.Status)}
		}
		plan, err := readRunPlan(ctx, tx, sub.Workspace, id)
		if err != nil {
			return store.Response{}, err
		}
		variants, err := readVariants(ctx, tx, id)
		if err != nil {
			return store.Response{}, err
		}
		return render(plan, variants)
	})
}

// RetryRunPlansIn is RetryIn of the variants of run plans, and returns the plans of those it took up.
func (s *Store) RetryRunPlansIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, plans []uuid.UUID, depth int) ([]uuid.UUID, error) {
	variants, err := store.ReadAll(ctx, tx, "variants", pgx.RowTo[uuid.UUID],
		`select tune_id from run_plan_variants where workspace_id = $1 and run_plan_id = any($2) order by run_plan_id, ordinal`, workspace, plans)
	if err != nil {
		return nil, err
	}
	retried, err := s.RetryIn(ctx, tx, workspace, variants, depth)
	if err != nil || len(retried) == 0 {
		return nil, err
	}
	return store.ReadAll(ctx, tx, "run plans", pgx.RowTo[uuid.UUID],
		`select distinct run_plan_id from run_plan_variants where tune_id = any($1) order by 1`, retried)
}

// Resume is Begin of a tune that runs again: the shards that had a job and no result get one, and then the next ones. After
// the last shard of a round it enqueues what follows the round.
func (s *Store) Resume(ctx context.Context, lease store.Lease, id uuid.UUID) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := tune.still(Queued); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `update tunes set status = 'running', started_at = clock_timestamp() where id = $1 returning started_at`, id).Scan(&tune.StartedAt)
		if err != nil {
			return fmt.Errorf("resume tune %s: %w", id, err)
		}
		tune.Status = Running
		if err := AppendEvent(ctx, tx, tune, "running", nil); err != nil {
			return err
		}
		if err := s.folds.FoldBegan(ctx, tx, tune); err != nil {
			return err
		}
		if err := variantBegan(ctx, tx, tune); err != nil {
			return err
		}
		at, err := s.enqueueOpen(ctx, tx, tune)
		if err != nil {
			return err
		}
		if at.done == at.total {
			return s.endRound(ctx, tx, tune, at)
		}
		return s.enqueueNext(ctx, tx, tune, at)
	})
}

// dropPlan drops the shards of a tune that an older engine had planned.
func (s *Store) dropPlan(ctx context.Context, tx *store.Tx, tune *Tune) error {
	ended := tune.Progress.Completed + tune.Progress.Skipped + tune.Progress.Failed
	if err := s.folds.FoldAdvanced(ctx, tx, tune, -ended); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		with shards as (delete from tune_shards where tune_id = $1),
		     progress as (delete from tune_progress where tune_id = $1)
		update tunes set restarted_from = $2 where id = $1`, tune.ID, tune.Stamp.Engine)
	if err != nil {
		return fmt.Errorf("drop shards of tune %s: %w", tune.ID, err)
	}
	tune.Progress = Progress{}
	return nil
}

// enqueueOpen gives the shards that were given up a job each, and reads how far the tune is.
func (s *Store) enqueueOpen(ctx context.Context, tx *store.Tx, tune *Tune) (at shardCounts, err error) {
	err = tx.QueryRow(ctx, `select shards, next_shard, shards_done, round, rounds from tune_progress where tune_id = $1`, tune.ID).
		Scan(&at.total, &at.next, &at.done, &at.round, &at.rounds)
	if err != nil {
		return at, fmt.Errorf("read progress of tune %s: %w", tune.ID, err)
	}
	open, err := store.ReadAll(ctx, tx, "open shards", pgx.RowTo[int32],
		`select shard from tune_shards where tune_id = $1 and shard < $2 and not done order by shard`, tune.ID, at.next)
	if err != nil || len(open) == 0 {
		return at, err
	}
	params := make([]river.InsertManyParams, len(open))
	for i, shard := range open {
		params[i] = river.InsertManyParams{
			Args:       jobs.TuneShardArgs{WorkspaceID: tune.WorkspaceID, TuneID: tune.ID, Shard: int(shard)},
			InsertOpts: &river.InsertOpts{Priority: jobs.PriorityShare},
		}
	}
	inserted, err := s.db.River().InsertManyTx(ctx, tx, params)
	if err != nil {
		return at, fmt.Errorf("insert shard jobs: %w", err)
	}
	ids := make([]int64, len(inserted))
	for i, job := range inserted {
		ids[i] = job.Job.ID
	}
	_, err = tx.Exec(ctx, `
		update tune_shards s set job_id = j.id from unnest($2::int[], $3::bigint[]) j (shard, id)
		 where s.tune_id = $1 and s.shard = j.shard`, tune.ID, open, ids)
	if err != nil {
		return at, fmt.Errorf("assign shard jobs: %w", err)
	}
	return at, nil
}
