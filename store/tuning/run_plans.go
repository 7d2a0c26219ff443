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

// RunPlanStatus is where a run plan is; all but the first are final.
type RunPlanStatus string

// The statuses of a run plan.
const (
	RunPlanRunning   RunPlanStatus = "running"
	RunPlanCompleted RunPlanStatus = "completed"
	RunPlanPartial   RunPlanStatus = "partial" // some variants were not completed
	RunPlanFailed    RunPlanStatus = "failed"  // none was, and one failed
	RunPlanCanceled  RunPlanStatus = "canceled"
)

// RunPlanStatuses lists the statuses.
func RunPlanStatuses() []RunPlanStatus {
	return []RunPlanStatus{RunPlanRunning, RunPlanCompleted, RunPlanPartial, RunPlanFailed, RunPlanCanceled}
}

// RunPlan is one tune body with its variants.
type RunPlan struct {
	ID             uuid.UUID
	WorkspaceID    uuid.UUID
	Name           string
	Base           json.RawMessage // tune body
	Plan           json.RawMessage // overrides, grid and ablations as asked
	Status         RunPlanStatus
	Pinned         bool // its breadcrumbs are never pruned
	Variants       int
	VariantsDone   int // ended, whatever their status
	VariantsFailed int // of them failed or canceled
	CreatedAt      time.Time
	CompletedAt    *time.Time
	ArchivedAt     *time.Time // nil: it is in the lists
}

// RunPlanVariant is one variant and how its tune is.
type RunPlanVariant struct {
	VariantID string
	Kind      string
	Label     string
	Overrides json.RawMessage
	TuneID    uuid.UUID
	Status    Status
	BestScore *float64
	Error     string
	Retryable bool // another run of its tune can help
}

// NewRunPlan is what a submission asks for, checked.
type NewRunPlan struct {
	Name       string
	Base, Plan json.RawMessage
	Pinned     bool
	Variants   []NewVariant // the baseline first
}

// NewVariant is one variant of it.
type NewVariant struct {
	ID, Kind, Label string
	Overrides       json.RawMessage
	Tune            NewTune
}

// CreateRunPlan stores a plan and the tunes of its variants in the transaction of the submission.
// The plan keeps the idempotency key for as long as it is kept itself: once the key's stored
// response has expired, the same submission finds the plan as it is then.
func (s *Store) CreateRunPlan(ctx context.Context, sub store.Submission, in NewRunPlan,
	render func(*RunPlan, []RunPlanVariant) (store.Response, error),
) (store.Response, error) {
	sub.Pieces = len(in.Variants) // each is a tune of the workspace's queue
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		plan, err := planOfKey(ctx, tx, sub)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Response{}, err
		}
		found := plan != nil
		if !found {
			if plan, err = s.createRunPlan(ctx, tx, sub, in); err != nil {
				return store.Response{}, err
			}
		}
		variants, err := readVariants(ctx, tx, plan.ID)
		if err != nil {
			return store.Response{}, err
		}
		resp, err := render(plan, variants)
		resp.Replayed = found
		return resp, err
	})
}

// planOfKey finds the plan that was made with the submission's key.
func planOfKey(ctx context.Context, tx pgx.Tx, sub store.Submission) (*RunPlan, error) {
	var id uuid.UUID
	var fingerprint []byte
	err := tx.QueryRow(ctx, `
		select id, fingerprint from run_plans where workspace_id = $1 and idempotency_key = $2`, sub.Workspace, sub.Key).Scan(&id, &fingerprint)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("run plan of key %q: %w", sub.Key, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("find run plan of key: %w", err)
	}
	if [32]byte(fingerprint) != sub.Fingerprint {
		return nil, fmt.Errorf("key %q: %w", sub.Key, store.ErrKeyReused)
	}
	return readRunPlan(ctx, tx, sub.Workspace, id)
}

func (s *Store) createRunPlan(ctx context.Context, tx *store.Tx, sub store.Submission, in NewRunPlan) (*RunPlan, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("run plan id: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into run_plans (id, workspace_id, name, idempotency_key, fingerprint, base, plan, pinned, variants)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		id, sub.Workspace, in.Name, sub.Key, sub.Fingerprint[:], in.Base, in.Plan, in.Pinned, len(in.Variants))
	if err != nil {
		return nil, fmt.Errorf("insert run plan: %w", err)
	}
	for i, v := range in.Variants {
		tune, err := s.CreateIn(ctx, tx, sub.Workspace, v.Tune)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `
			insert into run_plan_variants (run_plan_id, ordinal, workspace_id, variant_id, kind, label, overrides, tune_id)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, i, sub.Workspace, v.ID, v.Kind, v.Label, v.Overrides, tune.ID)
		if err != nil {
			return nil, fmt.Errorf("insert variant %d: %w", i, err)
		}
	}
	plan, err := readRunPlan(ctx, tx, sub.Workspace, id)
	if err != nil {
		return nil, err
	}
	return plan, dropCrumb(ctx, tx, plan, "RUN_STARTED", map[string]any{"variants": plan.Variants})
}

const runPlanColumns = `
	id, workspace_id, name, base, plan, status, pinned, variants, variants_done, variants_failed, created_at, completed_at, archived_at`

func readRunPlan(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*RunPlan, error) {
	rows, err := tx.Query(ctx, `select `+runPlanColumns+` from run_plans where workspace_id = $1 and id = $2`, workspace, id)
	if err != nil {
		return nil, fmt.Errorf("read run plan %s: %w", id, err)
	}
	plan, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[RunPlan])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("run plan %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read run plan %s: %w", id, err)
	}
	return plan, nil
}

func readVariants(ctx context.Context, tx pgx.Tx, plan uuid.UUID) ([]RunPlanVariant, error) {
	rows, err := tx.Query(ctx, `
		select v.variant_id, v.kind, v.label, v.overrides, v.tune_id, t.status, p.best_score, coalesce(t.error, '') as error,
		       t.status in ('failed', 'canceled') and not t.final as retryable
		  from run_plan_variants v join tunes t on t.id = v.tune_id left join tune_progress p on p.tune_id = t.id
		 where v.run_plan_id = $1 order by v.ordinal`, plan)
	if err != nil {
		return nil, fmt.Errorf("read variants of %s: %w", plan, err)
	}
	variants, err := pgx.CollectRows(rows, pgx.RowToStructByName[RunPlanVariant])
	if err != nil {
		return nil, fmt.Errorf("read variants of %s: %w", plan, err)
	}
	return variants, nil
}

// RunPlan reads one plan of the workspace with its variants, or ErrNotFound.
func (s *Store) RunPlan(ctx context.Context, workspace, id uuid.UUID) (*RunPlan, []RunPlanVariant, error) {
	var plan *RunPlan
	var variants []RunPlanVariant
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if plan, err = readRunPlan(ctx, tx, workspace, id); err != nil {
			return err
		}
		variants, err = readVariants(ctx, tx, id)
		return err
	})
	return plan, variants, err
}

// RunPlans lists the workspace's plans, newest first, from after the page's place; with a status,
// those that have it. archived nil: both.
func (s *Store) RunPlans(ctx context.Context, workspace uuid.UUID, status RunPlanStatus, archived *bool, page store.Page, limit int) ([]*RunPlan, error) {
	var plans []*RunPlan
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+runPlanColumns+` from run_plans
			 where workspace_id = $1 and ($5 = '' or status = $5) and ($6::boolean is null or (archived_at is not null) = $6)
			   and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($2, $3))
			 order by created_at desc, id desc limit $4`,
			workspace, page.Before, page.BeforeID, limit, string(status), archived)
		if err != nil {
			return fmt.Errorf("list run plans: %w", err)
		}
		if plans, err = pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[RunPlan]); err != nil {
			return fmt.Errorf("list run plans: %w", err)
		}
		return nil
	})
	return plans, err
}

// CancelRunPlan cancels the tunes of a plan that have not ended, one after the other. ErrEnded when
// none was left, or others ended all of them meanwhile.
func (s *Store) CancelRunPlan(ctx context.Context, workspace, id uuid.UUID) error {
	plan, variants, err := s.RunPlan(ctx, workspace, id)
	if err != nil {
		return err
	}
	if plan.Status != RunPlanRunning {
		return fmt.Errorf("run plan %s: %w", id, &store.EndedError{What: "run plan", State: string(plan.Status)})
	}
	// From the last: none that waits is admitted only to be canceled.
	canceled := 0
	for i := len(variants) - 1; i >= 0; i-- {
		if variants[i].Status.Ended() {
			continue
		}
		switch _, err := s.Cancel(ctx, workspace, variants[i].TuneID); {
		case err == nil:
			canceled++
		case !errors.Is(err, store.ErrEnded):
			return err
		}
	}
	if canceled == 0 {
		if plan, _, err = s.RunPlan(ctx, workspace, id); err != nil {
			return err
		}
		return fmt.Errorf("run plan %s: %w", id, &store.EndedError{What: "run plan", State: string(plan.Status)})
	}
	return nil
}
