package tuning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// TradeEvent is an entry of the trail of what was run.
type TradeEvent struct {
	ID        uuid.UUID
	RunPlanID *uuid.UUID
	Type      string `db:"event_type"` // RUN_* ones are pruned in time, unless pinned
	Pinned    bool
	Payload   json.RawMessage
	CreatedAt time.Time
}

// dropCrumb notes what happened to a plan.
func dropCrumb(ctx context.Context, tx pgx.Tx, plan *RunPlan, typ string, payload any) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("trade event id: %w", err)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode trade event: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into trade_events (id, workspace_id, run_plan_id, event_type, pinned, payload) values ($1, $2, $3, $4, $5, $6)`,
		id, plan.WorkspaceID, plan.ID, typ, plan.Pinned, body)
	if err != nil {
		return fmt.Errorf("note %s of run plan %s: %w", typ, plan.ID, err)
	}
	return nil
}

// TradeEvents reads the trail of a plan, oldest first.
func (s *Store) TradeEvents(ctx context.Context, workspace, plan uuid.UUID, limit int) ([]TradeEvent, error) {
	var trail []TradeEvent
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select id, run_plan_id, event_type, pinned, payload, created_at from trade_events
			 where workspace_id = $1 and run_plan_id = $2 order by created_at, id limit $3`, workspace, plan, limit)
		if err != nil {
			return fmt.Errorf("read trail of run plan %s: %w", plan, err)
		}
		if trail, err = pgx.CollectRows(rows, pgx.RowToStructByName[TradeEvent]); err != nil {
			return fmt.Errorf("read trail of run plan %s: %w", plan, err)
		}
		return nil
	})
	return trail, err
}

// runPlanEvent is the payload of backtest.run_plan.* events.
type runPlanEvent struct {
	Status         RunPlanStatus `json:"status"`
	Variants       int           `json:"n_variants"`
	VariantsDone   int           `json:"variants_done"`
	VariantsFailed int           `json:"variants_failed"`
}

// variantCrumb is the payload of RUN_VARIANT_* breadcrumbs.
type variantCrumb struct {
	VariantID string    `json:"variant_id"`
	TuneID    uuid.UUID `json:"tune_id"`
	BestScore *float64  `json:"best_score,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// variantOf finds the variant that a tune is, if it is one.
func variantOf(ctx context.Context, tx pgx.Tx, tune *Tune) (plan *RunPlan, crumb variantCrumb, err error) {
	var id uuid.UUID
	crumb = variantCrumb{TuneID: tune.ID, BestScore: tune.Progress.BestScore, Error: tune.Error}
	err = tx.QueryRow(ctx, `select run_plan_id, variant_id from run_plan_variants where tune_id = $1`, tune.ID).Scan(&id, &crumb.VariantID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, crumb, nil
	}
	if err != nil {
		return nil, crumb, fmt.Errorf("find variant of tune %s: %w", tune.ID, err)
	}
	plan, err = readRunPlan(ctx, tx, tune.WorkspaceID, id)
	return plan, crumb, err
}

// variantBegan notes that the tune of a variant was planned.
func variantBegan(ctx context.Context, tx pgx.Tx, tune *Tune) error {
	plan, crumb, err := variantOf(ctx, tx, tune)
	if err != nil || plan == nil {
		return err
	}
	return dropCrumb(ctx, tx, plan, "RUN_VARIANT_STARTED", crumb)
}

// queueVariantBegan is variantBegan as a statement of a batch, for a tune that may or may not be a variant.
func queueVariantBegan(batch *pgx.Batch, tune *Tune, id uuid.UUID) {
	batch.Queue(`
		insert into trade_events (id, workspace_id, run_plan_id, event_type, pinned, payload)
		select $1, p.workspace_id, p.id, 'RUN_VARIANT_STARTED', p.pinned,
		       jsonb_strip_nulls(jsonb_build_object('variant_id', v.variant_id, 'tune_id', v.tune_id, 'best_score', $3::float8))
		  from run_plan_variants v join run_plans p on p.id = v.run_plan_id where v.tune_id = $2`,
		id, tune.ID, tune.Progress.BestScore)
}

// variantEnded counts a variant whose tune has ended; the last one ends the plan.
func (s *Store) variantEnded(ctx context.Context, tx *store.Tx, tune *Tune) error {
	plan, crumb, err := variantOf(ctx, tx, tune)
	if err != nil || plan == nil {
		return err
	}
	crumbs := map[Status]string{Completed: "RUN_VARIANT_COMPLETED", Failed: "RUN_VARIANT_FAILED", Canceled: "RUN_VARIANT_CANCELED"}
	if err := dropCrumb(ctx, tx, plan, crumbs[tune.Status], crumb); err != nil {
		return err
	}
	failed := 0
	if tune.Status != Completed {
		failed = 1
	}
	if err := countVariant(ctx, tx, plan, failed); err != nil {
		return err
	}
	what := "progress"
	payload := runPlanEvent{plan.Status, plan.Variants, plan.VariantsDone, plan.VariantsFailed}
	if plan.Status != RunPlanRunning {
		what = string(plan.Status)
		ends := map[RunPlanStatus]string{
			RunPlanCompleted: "RUN_COMPLETED", RunPlanPartial: "RUN_PARTIAL", RunPlanFailed: "RUN_FAILED", RunPlanCanceled: "RUN_CANCELED",
		}
		if err := dropCrumb(ctx, tx, plan, ends[plan.Status], payload); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.db.Recorder().RunPlanEnded(string(plan.Status)) })
	}
	return store.AppendEvent(ctx, tx, plan.WorkspaceID, "backtests", "backtest.run_plan."+what, plan.ID.String(), payload)
}

// countVariant adds a variant that has ended to its plan, in the row and in plan.
func countVariant(ctx context.Context, tx pgx.Tx, plan *RunPlan, failed int) error {
	var anyFailed bool
	err := tx.QueryRow(ctx, `
		update run_plans p set variants_done = variants_done + 1, variants_failed = variants_failed + $2
		 where id = $1
		returning variants_done, variants_failed,
		          exists (select from run_plan_variants v join tunes t on t.id = v.tune_id
		                   where v.run_plan_id = p.id and t.status = 'failed')`, plan.ID, failed).
		Scan(&plan.VariantsDone, &plan.VariantsFailed, &anyFailed)
	if err != nil {
		return fmt.Errorf("count variants of run plan %s: %w", plan.ID, err)
	}
	plan.Status = statusOfPlan(plan.Variants, plan.VariantsDone, plan.VariantsFailed, anyFailed)
	if plan.Status == RunPlanRunning {
		return nil
	}
	tag, err := tx.Exec(ctx, `
		update run_plans set status = $2, completed_at = clock_timestamp() where id = $1 and status = 'running'`, plan.ID, plan.Status)
	if err != nil {
		return fmt.Errorf("end run plan %s: %w", plan.ID, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("run plan %s: %w", plan.ID, store.ErrEnded)
	}
	return nil
}

// statusOfPlan is the status of a plan of so many variants. Those that failed include those that were
// canceled; with anyFailed one really failed.
func statusOfPlan(variants, done, failed int, anyFailed bool) RunPlanStatus {
	switch {
	case done < variants:
		return RunPlanRunning
	case failed == 0:
		return RunPlanCompleted
	case failed < variants:
		return RunPlanPartial
	case anyFailed:
		return RunPlanFailed
	}
	return RunPlanCanceled
}
