package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
)

// FoldOf says whose fold a tune is.
type FoldOf struct {
	WFO   uuid.UUID
	Index int
}

// Most folds of one walk-forward that are at work at once.
const maxFoldsAtWork = 16

// foldsAtWork is one more than the fleet has trial slots, so that none is idle while a fold is
// planned or collected.
func foldsAtWork(slots int) int { return min(max(slots, 1)+1, maxFoldsAtWork) }

// letInFolds releases the plan jobs of the next folds. The caller holds the walk-forward's lock, or
// that of its workspace while nothing of it is at work. With first, the first of them goes ahead.
func (s *Store) letInFolds(ctx context.Context, tx pgx.Tx, wfo uuid.UUID, first bool) error {
	slots, err := fleetSlots(ctx, tx, "trials")
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		update tunes set admitted = true
		 where id in (select id from tunes
		               where wfo_id = $1 and not admitted and status = 'queued'
		               order by wfo_fold
		               limit greatest(0, $2 - (select count(*) from tunes
		                                        where wfo_id = $1 and admitted and status in ('queued', 'running'))))
		returning plan_job_id`, wfo, foldsAtWork(slots))
	if err != nil {
		return fmt.Errorf("let in folds of %s: %w", wfo, err)
	}
	plans, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("let in folds of %s: %w", wfo, err)
	}
	return promote(ctx, tx, plans, first)
}

// foldBegan notes that a fold's tune was planned; the first one starts the walk-forward.
func (s *Store) foldBegan(ctx context.Context, tx pgx.Tx, tune *Tune) error {
	if tune.Fold == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `update wfo_folds set status = 'running' where wfo_id = $1 and fold = $2`, tune.Fold.WFO, tune.Fold.Index)
	if err != nil {
		return fmt.Errorf("start fold %d of %s: %w", tune.Fold.Index, tune.Fold.WFO, err)
	}
	tag, err := tx.Exec(ctx, `
		update wfo_runs set status = 'running', started_at = clock_timestamp() where id = $1 and status = 'pending'`, tune.Fold.WFO)
	if err != nil {
		return fmt.Errorf("start walk-forward %s: %w", tune.Fold.WFO, err)
	}
	if tag.RowsAffected() == 1 {
		wfo, err := readWFO(ctx, tx, tune.WorkspaceID, tune.Fold.WFO)
		if err != nil {
			return err
		}
		if err := appendWFOEvent(ctx, tx, wfo, string(WFORunning)); err != nil {
			return err
		}
	}
	return appendFoldEvent(ctx, tx, tune, FoldRunning, "")
}

// foldAdvanced adds the trials of a shard that has ended, or none when one has merely come further,
// and tells of the progress, four times a second at most.
func (s *Store) foldAdvanced(ctx context.Context, tx pgx.Tx, tune *Tune, trials int) error {
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

// saveFoldTop keeps the parameters of a fold's candidates for the judging of all folds.
func saveFoldTop(ctx context.Context, tx pgx.Tx, tune *Tune, entries []sweep.Entry) error {
	if tune.Fold == nil {
		return nil
	}
	top := []float64{}
	for _, entry := range entries[:min(tune.Leaders, len(entries))] {
		for _, name := range tune.Spec.ParamNames() {
			top = append(top, entry.Params[name])
		}
	}
	_, err := tx.Exec(ctx, `update wfo_folds set top = $3 where wfo_id = $1 and fold = $2`, tune.Fold.WFO, tune.Fold.Index, top)
	if err != nil {
		return fmt.Errorf("save candidates of fold %d of %s: %w", tune.Fold.Index, tune.Fold.WFO, err)
	}
	return nil
}

// foldEnded takes a fold's tune that has ended into account: one failure too many ends the
// walk-forward, otherwise the next fold is let in, and after the last one the candidates job. The
// caller holds the walk-forward's lock.
func (s *Store) foldEnded(ctx context.Context, tx pgx.Tx, tune *Tune) error {
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
	tell(tx, "fold", string(tune.Status), 0)
	if tune.Status != TuneCompleted && (!*wfo.Config.AllowPartial || wfo.Folds-wfo.FoldsFailed < *wfo.Config.MinFolds) {
		reason := fmt.Sprintf("fold %d %s", tune.Fold.Index, foldReason(tune))
		if *wfo.Config.AllowPartial {
			reason = fmt.Sprintf("%d of %d folds failed, which leaves fewer than min_folds %d; the last: %s",
				wfo.FoldsFailed, wfo.Folds, *wfo.Config.MinFolds, reason)
		}
		_, err := s.endWFO(ctx, tx, wfo, WFOFailed, reason, 0)
		return err
	}
	if err := appendWFOEvent(ctx, tx, wfo, "progress"); err != nil {
		return err
	}
	if wfo.FoldsDone < wfo.Folds {
		return s.letInFolds(ctx, tx, wfo.ID, false)
	}
	var job int64
	if err := tx.QueryRow(ctx, `select candidates_job_id from wfo_runs where id = $1`, wfo.ID).Scan(&job); err != nil {
		return fmt.Errorf("find candidates job of %s: %w", wfo.ID, err)
	}
	return promote(ctx, tx, []int64{job}, false)
}

// noteFold gives a fold its tune's final status and counts it. What a failed fold had run no longer
// counts.
func noteFold(ctx context.Context, tx pgx.Tx, tune *Tune) error {
	failed, undone := 0, 0
	if tune.Status != TuneCompleted {
		failed, undone = 1, tune.Progress.Completed+tune.Progress.Skipped+tune.Progress.Failed
	}
	reason := ""
	if failed == 1 {
		reason = foldReason(tune)
	}
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

// foldReason is what happened to the tune of a fold that has no result.
func foldReason(tune *Tune) string {
	if tune.Error != "" {
		return "failed: " + tune.Error
	}
	return "was " + string(tune.Status)
}
