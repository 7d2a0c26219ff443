package walkforward

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/tuning"
)

// wfoEvent is the payload of wfo.run.* events.
type wfoEvent struct {
	Status          Status   `json:"status"`
	Folds           int      `json:"n_folds"`
	FoldsDone       int      `json:"folds_done"`
	FoldsFailed     int      `json:"folds_failed"`
	FoldsScored     int      `json:"folds_scored"`
	Trials          int      `json:"n_trials"` // of all folds that have not failed
	TrialsCompleted int      `json:"trials_completed"`
	ETASeconds      *float64 `json:"eta_seconds"`
	Error           string   `json:"error,omitempty"`
}

// wfoPayload is the event of a walk-forward r that has no error, as SQL makes it: a is its progress, n of wfoCounts.
const wfoPayload = `jsonb_build_object(
		           'status', r.status, 'n_folds', r.n_folds, 'folds_done', a.folds_done, 'folds_failed', a.folds_failed,
		           'folds_scored', a.scores_done, 'n_trials', n.total, 'trials_completed', n.done,
		           'eta_seconds', case when r.status = 'running' and n.done > a.trials_kept then
		               extract(epoch from clock_timestamp() - r.started_at)::float8 / (n.done - a.trials_kept) * (n.total - n.done) end)`

// wfoCounts counts its trials, with those within shards of running folds that have not ended.
const wfoCounts = `
		       lateral (select coalesce(sum(s.trials_done), 0) as trials
		                  from tunes t join tune_shards s on s.tune_id = t.id
		                 where r.status = 'running' and t.wfo_id = r.id and t.status = 'running' and s.job_id is not null and not s.done) o,
		       lateral (select r.n_trials * (r.n_folds - a.folds_failed) as total, a.trials_done + o.trials as done) n`

// appendWFOEvent records the walk-forward as it now is.
func appendWFOEvent(ctx context.Context, tx pgx.Tx, w *Run, what string) error {
	return store.AppendEvent(ctx, tx, w.WorkspaceID, "wfo", "wfo.run."+what, w.ID.String(), w.event())
}

// event is the walk-forward as it now is.
func (w *Run) event() wfoEvent {
	return wfoEvent{
		Status: w.Status, Folds: w.Folds, FoldsDone: w.FoldsDone, FoldsFailed: w.FoldsFailed, FoldsScored: w.ScoresDone,
		Trials: w.TrialsTotal(), TrialsCompleted: w.TrialsDone, ETASeconds: w.ETA(w.AsOf), Error: w.Error,
	}
}

// foldEvent is the payload of wfo.fold.* events, whose entity is the walk-forward.
type foldEvent struct {
	Fold      int        `json:"fold"`
	Status    FoldStatus `json:"status"`
	TuneID    *uuid.UUID `json:"tune_id"`    // null for a fold that cannot be run
	BestScore *float64   `json:"best_score"` // in training
	Error     string     `json:"error,omitempty"`
}

func appendFoldEvent(ctx context.Context, tx pgx.Tx, tune *tuning.Tune, status FoldStatus, reason string) error {
	return store.AppendEvent(ctx, tx, tune.WorkspaceID, "wfo", "wfo.fold."+string(status), tune.Fold.WFO.String(), foldEvent{
		Fold: tune.Fold.Index, Status: status, TuneID: &tune.ID, BestScore: tune.Progress.BestScore, Error: reason,
	})
}

// appendUnrunnableFoldEvents records the folds that fail at the submission, as they cannot be run.
func appendUnrunnableFoldEvents(ctx context.Context, last *store.Tx, w *Run, folds []Fold, recorder store.Recorder) error {
	for i := range folds {
		if folds[i].Status != FoldFailed {
			continue
		}
		err := store.AppendEventLast(last, w.WorkspaceID, "wfo", "wfo.fold."+string(FoldFailed), w.ID.String(),
			foldEvent{Fold: i, Status: FoldFailed, Error: folds[i].Error})
		if err != nil {
			return err
		}
		last.AfterCommit(func() { recorder.FoldEnded(string(FoldFailed)) })
	}
	return nil
}
