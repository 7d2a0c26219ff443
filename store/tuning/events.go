package tuning

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// tuneEvent is the payload of backtest.tune.* events.
type tuneEvent struct {
	Status          Status   `json:"status"`
	Trials          int      `json:"n_trials"`
	TrialsCompleted int      `json:"trials_completed"`
	ShareDone       float64  `json:"share_done"`
	BestScore       *float64 `json:"best_score"`
	BestTrial       *int     `json:"best_trial"`
	ETASeconds      *float64 `json:"eta_seconds"`
	Error           string   `json:"error,omitempty"`
}

// AppendEvent records the tune as it now is. Its place in the stream is that of the lock the
// transaction holds, see store.Lock.
func AppendEvent(ctx context.Context, tx pgx.Tx, tune *Tune, what string, eta *float64) error {
	topic, typ, entity, payload := tune.event(what, eta)
	return store.AppendEvent(ctx, tx, tune.WorkspaceID, topic, typ, entity, payload)
}

// QueueEvent is AppendEvent as a statement of a batch, of a tune that is not estimated.
func QueueEvent(batch *pgx.Batch, tune *Tune, what string) {
	topic, typ, entity, payload := tune.event(what, nil)
	store.QueueEvent(batch, tune.WorkspaceID, topic, typ, entity, payload)
}

// event is what AppendEvent records.
func (t *Tune) event(what string, eta *float64) (topic, typ, entity string, payload tuneEvent) {
	return "backtests", "backtest.tune." + what, t.ID.String(), tuneEvent{
		Status: t.Status, Trials: t.Trials, TrialsCompleted: t.Progress.Done(), ShareDone: t.ShareDone(),
		BestScore: t.Progress.BestScore, BestTrial: t.Progress.BestTrial,
		ETASeconds: eta, Error: t.Error,
	}
}

// ShareDone is how much of the tune's work is done, from 0 to 1: of all rounds, and so with its permutations,
// which run when all trials have ended.
func (t *Tune) ShareDone() float64 {
	p := t.Progress
	switch {
	case t.Status == Completed:
		return 1 // permutations that were planned for need not have run
	case p.Work <= 0:
		return 0
	}
	return min(1, max(0, (p.WorkDone+p.WorkOpen)/p.Work))
}

// ETA estimates the seconds a running tune still needs from its mean pace since it started; nil
// while there is nothing to go by.
func (t *Tune) ETA(now time.Time) *float64 {
	p := t.Progress
	done, ran := p.WorkDone+p.WorkOpen, p.WorkDone+p.WorkOpen-p.WorkKept
	if t.Status != Running || t.StartedAt == nil || ran <= 0 {
		return nil
	}
	eta := max(0, now.Sub(*t.StartedAt).Seconds()/ran*(p.Work-done))
	return &eta
}
