package walkforward

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/admission"
	"millrace/store/tuning"
)

// FoldBegan notes that a fold's tune was planned; the first one starts the walk-forward.
func (s *Store) FoldBegan(ctx context.Context, tx *store.Tx, tune *tuning.Tune) error {
	if tune.Fold == nil {
		return nil
	}
	batch := &pgx.Batch{}
	queueFoldBegan(batch, tune)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("start fold %d of %s: %w", tune.Fold.Index, tune.Fold.WFO, err)
	}
	return nil
}

// QueueFoldBegan is FoldBegan as statements of a batch, with the event of the tune before it.
func (s *Store) QueueFoldBegan(batch *pgx.Batch, tune *tuning.Tune) {
	tuning.QueueEvent(batch, tune, "running")
	queueFoldBegan(batch, tune)
}

func queueFoldBegan(batch *pgx.Batch, tune *tuning.Tune) {
	batch.Queue(`
		with fold as (update wfo_folds set status = 'running' where wfo_id = $1 and fold = $2),
		begun as (
			update wfo_runs set status = 'running', started_at = clock_timestamp() where id = $1 and status = 'pending' returning *)
		insert into event_log (workspace_id, topic, type, entity_id, payload)
		select workspace_id, 'wfo', type, $1::uuid::text, payload from (
			select 1 as place, r.workspace_id, 'wfo.run.running' as type, `+wfoPayload+` as payload
			  from begun r join wfo_progress a on a.wfo_id = r.id, `+wfoCounts+`
			union all
			select 2, $3, 'wfo.fold.running', jsonb_build_object('fold', $2::int, 'status', 'running', 'tune_id', $4::uuid, 'best_score', $5::float8)) e
		 order by place`, tune.Fold.WFO, tune.Fold.Index, tune.WorkspaceID, tune.ID, tune.Progress.BestScore)
}

// FoldAdvanced adds the trials of a shard that has ended, or none when one has merely come further,
// and records the progress, four times a second at most.
func (s *Store) FoldAdvanced(ctx context.Context, tx *store.Tx, tune *tuning.Tune, trials int) error {
	if tune.Fold == nil {
		return nil
	}
	var due bool
	err := tx.QueryRow(ctx, `
		update wfo_progress p
		   set trials_done = trials_done + $2, told_at = case when o.due then clock_timestamp() else told_at end
		  from (select coalesce(told_at < clock_timestamp() - interval '250 ms', true)
		          from wfo_progress where wfo_id = $1) o (due)
		 where wfo_id = $1 returning o.due`, tune.Fold.WFO, trials).Scan(&due)
	if err != nil {
		return fmt.Errorf("advance walk-forward %s: %w", tune.Fold.WFO, err)
	}
	if !due {
		return nil
	}
	wfo, err := readWFO(ctx, tx, tune.WorkspaceID, tune.Fold.WFO)
	if err != nil {
		return err
	}
	return appendWFOEvent(ctx, tx, wfo, "progress")
}

// QueueFoldAdvanced is FoldAdvanced as a statement of a batch, for a tune that may or may not be a fold.
func (s *Store) QueueFoldAdvanced(batch *pgx.Batch, tune uuid.UUID, trials int) {
	batch.Queue(`
		with due as materialized (
			select w.wfo_id, coalesce(w.told_at < clock_timestamp() - interval '250 ms', true) as due
			  from tunes t join wfo_progress w on w.wfo_id = t.wfo_id where t.id = $1 and t.status = 'running'),
		advanced as (
			update wfo_progress p
			   set trials_done = trials_done + $2, told_at = case when due.due then clock_timestamp() else told_at end
			  from due where p.wfo_id = due.wfo_id
			returning p.*, due.due)
		insert into event_log (workspace_id, topic, type, entity_id, payload)
		select r.workspace_id, 'wfo', 'wfo.run.progress', r.id::text, `+wfoPayload+`
		  from advanced a join wfo_runs r on r.id = a.wfo_id, `+wfoCounts+`
		 where a.due`, tune, trials)
}

// QueueFoldCompleted keeps the parameters of a fold's candidates for the judging of all folds, counts the fold, and
// enqueues the next ones, or after the last one the candidates job: FoldEnded of a fold that has completed, whose walk-forward
// continues. The events are that of the tune, of the fold and of the walk-forward.
func (s *Store) QueueFoldCompleted(batch *pgx.Batch, tune *tuning.Tune, entries []sweep.Entry) {
	top := []float64{}
	for _, entry := range entries[:min(tune.Leaders, len(entries))] {
		for _, name := range tune.Spec.ParamNames() {
			top = append(top, entry.Params[name])
		}
	}
	batch.Queue(`
		with fold as (
			update wfo_folds set status = 'completed', error = null, top = $3 where wfo_id = $1 and fold = $2),
		counted as (
			update wfo_progress set folds_done = folds_done + 1 where wfo_id = $1 returning *)
		insert into event_log (workspace_id, topic, type, entity_id, payload)
		select $5, topic, type, entity, payload from (
			select 1 as place, 'backtests' as topic, 'backtest.tune.completed' as type, $4::uuid::text as entity, jsonb_build_object(
			           'status', 'completed', 'n_trials', t.n_trials,
			           'trials_completed', p.trials_completed + p.trials_skipped + p.trials_failed, 'share_done', 1,
			           'best_score', p.best_score, 'best_trial', p.best_trial, 'eta_seconds', null) as payload
			  from tunes t join tune_progress p on p.tune_id = t.id where t.id = $4
			union all
			select 2, 'wfo', 'wfo.fold.completed', $1::uuid::text,
			       jsonb_build_object('fold', $2::int, 'status', 'completed', 'tune_id', $4::uuid, 'best_score', p.best_score)
			  from tune_progress p where p.tune_id = $4
			union all
			select 3, 'wfo', 'wfo.run.progress', $1::uuid::text, `+wfoPayload+`
			  from counted a join wfo_runs r on r.id = a.wfo_id, `+wfoCounts+`) e
		 order by place`, tune.Fold.WFO, tune.Fold.Index, top, tune.ID, tune.WorkspaceID)
	admission.QueueFolds(batch, tune.Fold.WFO)
	batch.Queue(`
		with released as (
			update river_job j set state = 'available', scheduled_at = now()
			  from wfo_runs r join wfo_progress p on p.wfo_id = r.id
			 where r.id = $1 and p.folds_done = r.n_folds and j.id = r.candidates_job_id and j.state = 'pending'
			returning j.queue)
		select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text) from released`, tune.Fold.WFO)
}

// FoldEnded takes a fold's tune that has ended into account: one failure too many ends the
// walk-forward, otherwise the next fold is enqueued, and after the last one the candidates job. The
// caller holds the walk-forward's lock.
func (s *Store) FoldEnded(ctx context.Context, tx *store.Tx, tune *tuning.Tune) error {
	wfo, err := readWFO(ctx, tx, tune.WorkspaceID, tune.Fold.WFO)
	if err != nil || wfo.Status.Ended() {
		return err
	}
	if err := noteFold(ctx, tx, tune); err != nil {
		return err
	}
	if wfo, err = readWFO(ctx, tx, tune.WorkspaceID, wfo.ID); err != nil {
		return err
	}
	ended := string(tune.Status)
	tx.AfterCommit(func() { s.db.Recorder().FoldEnded(ended) })
	next, reason := afterFold(wfo, tune)
	if next == failRun {
		wfo.Final = tune.Final && !*wfo.Config.AllowPartial // of several others may pass
		return s.end(ctx, tx, wfo, Failed, reason, 0)
	}
	if err := appendWFOEvent(ctx, tx, wfo, "progress"); err != nil {
		return err
	}
	if next == runFolds {
		return admission.EnqueueFolds(ctx, tx, wfo.ID, false)
	}
	var job int64
	if err := tx.QueryRow(ctx, `select candidates_job_id from wfo_runs where id = $1`, wfo.ID).Scan(&job); err != nil {
		return fmt.Errorf("find candidates job of %s: %w", wfo.ID, err)
	}
	return admission.Release(ctx, tx, []int64{job}, false)
}

// noteFold gives a fold its tune's final status and counts it. What a failed fold had run no longer
// counts.
func noteFold(ctx context.Context, tx pgx.Tx, tune *tuning.Tune) error {
	failed, undone, reason := foldResult(tune)
	_, err := tx.Exec(ctx, `
		update wfo_folds set status = $3, error = nullif($4, '') where wfo_id = $1 and fold = $2`,
		tune.Fold.WFO, tune.Fold.Index, tune.Status, reason)
	if err != nil {
		return fmt.Errorf("end fold %d of %s: %w", tune.Fold.Index, tune.Fold.WFO, err)
	}
	_, err = tx.Exec(ctx, `
		update wfo_progress
		   set folds_done = folds_done + 1, folds_failed = folds_failed + $2, trials_done = trials_done - $3
		 where wfo_id = $1`, tune.Fold.WFO, failed, undone)
	if err != nil {
		return fmt.Errorf("count fold %d of %s: %w", tune.Fold.Index, tune.Fold.WFO, err)
	}
	return appendFoldEvent(ctx, tx, tune, FoldStatus(tune.Status), reason)
}

// nextStep is what a walk-forward does after the end of a fold.
type nextStep int

const (
	runFolds        nextStep = iota // other folds have not ended
	scoreCandidates                 // the last one has
	failRun                         // too few are left
)

// afterFold decides what the end of a fold means for its walk-forward, which has counted it: one
// failure too many ends it, with the reason. Without allow_partial, one is too many.
func afterFold(wfo *Run, tune *tuning.Tune) (next nextStep, reason string) {
	partial, least := *wfo.Config.AllowPartial, *wfo.Config.MinFolds
	switch {
	case tune.Status != tuning.Completed && !partial:
		return failRun, fmt.Sprintf("fold %d %s", tune.Fold.Index, foldReason(tune))
	case tune.Status != tuning.Completed && wfo.Folds-wfo.FoldsFailed < least:
		return failRun, fmt.Sprintf("%d of %d folds failed, which leaves fewer than min_folds %d; the last: fold %d %s",
			wfo.FoldsFailed, wfo.Folds, least, tune.Fold.Index, foldReason(tune))
	case wfo.FoldsDone < wfo.Folds:
		return runFolds, ""
	}
	return scoreCandidates, ""
}

// foldResult is how a fold's tune that has ended counts: a fold that was not completed is a failed one
// with its reason, and the trials that it had run no longer count.
func foldResult(tune *tuning.Tune) (failed, undone int, reason string) {
	if tune.Status == tuning.Completed {
		return 0, 0, ""
	}
	return 1, tune.Progress.Completed + tune.Progress.Skipped + tune.Progress.Failed, foldReason(tune)
}

// foldReason is what happened to the tune of a fold that has no result.
func foldReason(tune *tuning.Tune) string {
	if tune.Error != "" {
		return "failed: " + tune.Error
	}
	return "was " + string(tune.Status)
}
