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

// appendWFOEvent records the walk-forward as it now is.
func appendWFOEvent(ctx context.Context, tx pgx.Tx, w *Run, what string) error {
	return store.AppendEvent(ctx, tx, w.WorkspaceID, "wfo", "wfo.run."+what, w.ID.String(), wfoEvent{
		Status: w.Status, Folds: w.Folds, FoldsDone: w.FoldsDone, FoldsFailed: w.FoldsFailed, FoldsScored: w.ScoresDone,
		Trials: w.TrialsTotal(), TrialsCompleted: w.TrialsDone, ETASeconds: w.ETA(w.AsOf), Error: w.Error,
	})
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
func appendUnrunnableFoldEvents(ctx context.Context, tx *store.Tx, w *Run, folds []Fold, recorder store.Recorder) error {
	for i := range folds {
		if folds[i].Status != FoldFailed {
			continue
		}
		err := store.AppendEvent(ctx, tx, w.WorkspaceID, "wfo", "wfo.fold."+string(FoldFailed), w.ID.String(),
			foldEvent{Fold: i, Status: FoldFailed, Error: folds[i].Error})
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { recorder.FoldEnded(string(FoldFailed)) })
	}
	return nil
}
