package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// leftover is what is left of a change of many, and what became of the rest.
type leftover struct {
	IDs       []byte // of what is to be changed, 16 bytes each
	Matched   int
	Changed   int
	Deletions []uuid.UUID
}

// Bulk changes all that the filter finds, some in each transaction, when their number is the one confirmed: else it is
// an *UnconfirmedError, and nothing is changed.
func (s *Store) Bulk(ctx context.Context, workspace uuid.UUID, b Bulk) (done BulkDone, err error) {
	_, err = s.BulkOnce(ctx, store.Submission{Workspace: workspace}, b, func(d BulkDone) (store.Response, error) {
		done = d
		return store.Response{}, nil
	})
	return done, err
}

// BulkOnce is Bulk for a submission's key: repeated, it continues with what is left, or returns what render made of it.
func (s *Store) BulkOnce(ctx context.Context, sub store.Submission, b Bulk, render func(BulkDone) (store.Response, error)) (store.Response, error) {
	store.AuditEntityOf(ctx, string(b.Kind), "")
	steps := store.Steps{
		Begin: func(ctx context.Context, tx *store.Tx) ([]byte, error) { return begin(ctx, tx, sub.Workspace, b) },
		Step: func(ctx context.Context, tx *store.Tx, left []byte) ([]byte, *store.Response, error) {
			return s.step(ctx, tx, sub.Workspace, b, left, render)
		},
		Again: func(err error) bool { return errors.Is(err, errRaced) },
	}
	return s.db.SubmitSteps(ctx, sub, steps)
}

// begin finds what is to be changed, and refuses what its caller has not confirmed or what would be refused of a part.
func begin(ctx context.Context, tx *store.Tx, workspace uuid.UUID, b Bulk) ([]byte, error) {
	ids, err := match(ctx, tx, workspace, b)
	if err != nil {
		return nil, err
	}
	if len(ids) != b.Confirm {
		return nil, &UnconfirmedError{Matched: len(ids), Confirmed: b.Confirm}
	}
	switch {
	case b.Action == DeleteAll && !b.Cascade && len(ids) > 0:
		p, err := plan(ctx, tx, workspace, b.Kind, ids)
		if err != nil {
			return nil, err
		}
		if p.Refuses() {
			return nil, &RefusedError{Plan: p}
		}
	case b.Action == RetryAll:
		if err := roomToRetry(ctx, tx, workspace, b, ids); err != nil {
			return nil, err
		}
	}
	left := leftover{Matched: len(ids), IDs: make([]byte, 0, 16*len(ids))}
	for _, id := range ids {
		left.IDs = append(left.IDs, id[:]...)
	}
	return json.Marshal(left)
}

// roomToRetry is an error when the depth or the quota of trials has no room for all of it.
func roomToRetry(ctx context.Context, tx *store.Tx, workspace uuid.UUID, b Bulk, ids []uuid.UUID) error {
	which := map[Kind]string{
		Tune:        `t.id = any($2)`,
		WalkForward: `t.wfo_id = any($2) and (t.status <> 'completed' or t.trials_dropped_at is not null)`,
		RunPlan:     `t.status in ('failed', 'canceled') and t.id in (select tune_id from run_plan_variants where run_plan_id = any($2))`,
	}[b.Kind]
	place, err := store.Room(ctx, tx, workspace)
	if err != nil {
		return err
	}
	var tunes, trials int
	err = tx.QueryRow(ctx, `
		select count(*), coalesce(sum(greatest(0, t.n_trials - case when t.trials_dropped_at is null
		                                      then coalesce(p.trials_completed + p.trials_failed + p.trials_skipped, 0) else 0 end)), 0)::bigint
		  from tunes t left join tune_progress p on p.tune_id = t.id where t.workspace_id = $1 and `+which, workspace, ids).Scan(&tunes, &trials)
	if err != nil {
		return fmt.Errorf("count what is retried: %w", err)
	}
	pieces := len(ids)
	if b.Kind == RunPlan {
		pieces = tunes
	}
	if err := store.CheckQueueFor(ctx, tx, workspace, b.Depth, pieces); err != nil {
		return err
	}
	return place.CheckTrials(trials)
}

// step changes the next of what is left.
func (s *Store) step(ctx context.Context, tx *store.Tx, workspace uuid.UUID, b Bulk, raw []byte, render func(BulkDone) (store.Response, error)) ([]byte, *store.Response, error) {
	var left leftover
	if err := json.Unmarshal(raw, &left); err != nil {
		return nil, nil, fmt.Errorf("decode what is left: %w", err)
	}
	store.AuditChange(ctx, nil, map[string]any{"action": b.Action, "matched": left.Matched, "status": b.Filter.Status, "tag": b.Filter.Tag, "tags": b.Tags})
	most := bulkBatch
	if parents := b.Kind == WalkForward || b.Kind == RunPlan; parents && (b.Action == CancelAll || b.Action == RetryAll) {
		most = bulkParents
	}
	ids := make([]uuid.UUID, min(most, len(left.IDs)/16))
	for i := range ids {
		copy(ids[i][:], left.IDs[16*i:])
	}
	left.IDs = left.IDs[16*len(ids):]
	if len(ids) > 0 {
		changed, err := s.change(ctx, tx, workspace, b, ids, &left)
		if err != nil {
			return nil, nil, err
		}
		left.Changed += changed
	}
	if len(left.IDs) > 0 {
		rest, err := json.Marshal(left)
		return rest, nil, err
	}
	resp, err := render(BulkDone{Matched: left.Matched, Changed: left.Changed, Deletions: left.Deletions})
	return nil, &resp, err
}

// change changes a batch, and reports how many it changed.
func (s *Store) change(ctx context.Context, tx *store.Tx, workspace uuid.UUID, b Bulk, ids []uuid.UUID, left *leftover) (int, error) {
	switch b.Action {
	case DeleteAll:
		d, err := s.deleteIn(ctx, tx, workspace, Request{Kind: b.Kind, IDs: ids, Cascade: b.Cascade, Bulk: true})
		if errors.Is(err, store.ErrNotFound) {
			return 0, nil // all of them are gone
		}
		if err != nil {
			return 0, err
		}
		left.Deletions = append(left.Deletions, d.ID)
		return len(ids), nil
	case CancelAll:
		return s.cancelAll(ctx, tx, workspace, b.Kind, ids)
	case RetryAll:
		return s.retryAll(ctx, tx, workspace, b, ids)
	case ArchiveAll, RestoreAll:
		return archive(ctx, tx, workspace, b.Kind, ids, b.Action == ArchiveAll)
	}
	return tag(ctx, tx, workspace, b, ids)
}

func (s *Store) cancelAll(ctx context.Context, tx *store.Tx, workspace uuid.UUID, kind Kind, ids []uuid.UUID) (int, error) {
	switch kind {
	case Tune:
		canceled, err := s.tuning.CancelIn(ctx, tx, workspace, ids)
		return len(canceled), err
	case RunPlan:
		return s.tuning.CancelRunPlansIn(ctx, tx, workspace, ids)
	}
	return eachWalkForward(ctx, tx, ids, func(id uuid.UUID) (bool, error) {
		err := s.walkforward.CancelIn(ctx, tx, workspace, id)
		if errors.Is(err, store.ErrEnded) {
			return false, nil
		}
		return err == nil, err
	})
}

func (s *Store) retryAll(ctx context.Context, tx *store.Tx, workspace uuid.UUID, b Bulk, ids []uuid.UUID) (int, error) {
	switch b.Kind {
	case Tune:
		retried, err := s.tuning.RetryIn(ctx, tx, workspace, ids, b.Depth)
		return len(retried), err
	case RunPlan:
		retried, err := s.tuning.RetryRunPlansIn(ctx, tx, workspace, ids, b.Depth)
		return len(retried), err
	}
	if err := store.HoldDatasetsOf(ctx, tx, workspace, ids); err != nil {
		return 0, err
	}
	return eachWalkForward(ctx, tx, ids, func(id uuid.UUID) (bool, error) {
		return s.walkforward.RetryIn(ctx, tx, workspace, id, b.Depth)
	})
}

// eachWalkForward changes walk-forwards under the locks of them all, and counts those that changed; what is gone is left
// out.
func eachWalkForward(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, change func(uuid.UUID) (bool, error)) (int, error) {
	if err := store.LockAll(ctx, tx, ids); err != nil {
		return 0, err
	}
	changed := 0
	for _, id := range ids {
		did, err := change(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return 0, err
		}
		if did {
			changed++
		}
	}
	return changed, nil
}
