package types

import (
	"time"
)

// Gap is a gap in what a workspace knows, or any other run of a recommendation or query.
type Gap struct {
	RunID          string                 `json:"run_id"`
	WorkspaceID    string                 `json:"workspace_id"`
	Kind           string                 `json:"kind"`
	Intent         string                 `json:"intent"`
	Request        Stored[map[string]any] `json:"request"`
	Status         RecommendStatus        `json:"status"`
	Confidence     *float64               `json:"confidence"`
	Matches        int                    `json:"matches"`
	BestScore      float64                `json:"best_score"`
	ReasonCodes    []string               `json:"reason_codes"`
	Weak           bool                   `json:"weak"`
	Priority       float64                `json:"priority"`
	CoverageStatus GapStatus              `json:"coverage_status"`
	Resolution     *string                `json:"resolution"`
	Seen           int                    `json:"seen"`
	LastSeenAt     time.Time              `json:"last_seen_at"`
	CandidateType  *CandidateType         `json:"candidate_type"`
	CandidateID    *string                `json:"candidate_id"`
	Note           *string                `json:"note"`
	AcknowledgedAt *time.Time             `json:"acknowledged_at"`
	AcknowledgedBy *string                `json:"acknowledged_by"`
	ResolvedAt     *time.Time             `json:"resolved_at"`
	ResolvedBy     *string                `json:"resolved_by"`
	CreatedAt      time.Time              `json:"created_at"`
}

// ResolveRequest is the body of POST /admin/coverage/gaps/:id/resolve: a candidate, a note or both.
type ResolveRequest struct {
	CandidateType CandidateType `json:"candidate_type"` // default tune
	CandidateID   string        `json:"candidate_id"`
	Note          string        `json:"note"`
}
