package types

import (
	"time"
)

// Variant is a variant.
type Variant struct {
	VariantID string                 `json:"variant_id"`
	Kind      string                 `json:"kind"`
	Label     string                 `json:"label"`
	Overrides Stored[map[string]any] `json:"overrides"`
	TuneID    string                 `json:"tune_id"`
	Status    TuneStatus             `json:"status"`
	BestScore *float64               `json:"best_score"`
	Delta     *float64               `json:"delta"` // best_score less the baseline's, under one objective
	Error     *string                `json:"error"`
}

// Crumb is an entry of a plan's trail.
type Crumb struct {
	Type    string                 `json:"event_type"`
	Pinned  bool                   `json:"pinned"`
	Payload Stored[map[string]any] `json:"payload"`
	At      time.Time              `json:"created_at"`
}

// RunPlan is a run plan.
type RunPlan struct {
	RunPlanID      string                 `json:"run_plan_id"`
	Name           string                 `json:"name"`
	Status         RunPlanStatus          `json:"status"`
	Pinned         bool                   `json:"pinned"`
	NVariants      int                    `json:"n_variants"`
	VariantsDone   int                    `json:"variants_done"`
	VariantsFailed int                    `json:"variants_failed"`
	Base           Stored[map[string]any] `json:"base"`
	Plan           Stored[map[string]any] `json:"plan"`
	Variants       []Variant              `json:"variants"`  // the baseline first; of one plan only
	Events         []Crumb                `json:"events"`    // likewise; oldest first
	Retryable      bool                   `json:"retryable"` // likewise; whether running its failed and cancelled tunes again can help
	CreatedAt      time.Time              `json:"created_at"`
	CompletedAt    *time.Time             `json:"completed_at"`
	ArchivedAt     *time.Time             `json:"archived_at"` // null: it is in the lists
}
