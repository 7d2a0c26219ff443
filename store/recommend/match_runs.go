package recommend

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/store"
)

// GapStatus is where a gap in coverage is in its triage.
type GapStatus string

// The statuses of a gap.
const (
	GapOpen         GapStatus = "open"
	GapAcknowledged GapStatus = "acknowledged"
	GapResolved     GapStatus = "resolved"
)

// GapStatuses lists the statuses in their order.
func GapStatuses() []GapStatus { return []GapStatus{GapOpen, GapAcknowledged, GapResolved} }

// CandidateType is what a gap can be resolved with.
type CandidateType string

// The candidate types.
const (
	CandidateTune     CandidateType = "tune"
	CandidateDocument CandidateType = "document"
)

// bySystem resolves gaps that a later match has closed.
const bySystem = "system"

// NewMatchRun is a recommendation or query as it is noted.
type NewMatchRun struct {
	Text       string // the question or request, for people
	Intent     knowledge.Intent
	Request    any // encoded as JSON
	Status     knowledge.RecommendStatus
	Confidence *float64
	Matches    int
	Best       float64 // 0 to 1
	// What matched best, if anything: a good match resolves a gap with it.
	CandidateType CandidateType
	CandidateID   uuid.UUID
}

// MatchRun is a recommendation or query; a weak one is a gap in what the workspace knows.
type MatchRun struct {
	ID             uuid.UUID
	WorkspaceID    uuid.UUID
	Kind           string
	Intent         string
	Request        json.RawMessage
	Status         knowledge.RecommendStatus
	Confidence     *float64
	Matches        int      `db:"candidates"`
	Best           float64  `db:"best_score"`
	Codes          []string `db:"reason_codes"`
	Weak           bool
	Priority       float64 // with the bonus of a young gap
	CoverageStatus GapStatus
	Resolution     *string
	DuplicateOf    *uuid.UUID
	Seen           int
	LastSeenAt     time.Time
	CandidateType  *CandidateType
	CandidateID    *uuid.UUID
	Note           *string
	AcknowledgedAt *time.Time
	AcknowledgedBy *string
	ResolvedAt     *time.Time
	ResolvedBy     *string
	CreatedAt      time.Time
}

// matchRunColumns need the arguments of youngArgs, for the bonus of young gaps.
const matchRunColumns = `
	id, workspace_id, kind, intent, request, status, confidence, candidates, best_score, reason_codes, weak,
	priority + case when weak and created_at > coalesce(@as_of::timestamptz, now()) - @young_for::interval
	                then @young_bonus::float8 else 0 end as priority,
	coverage_status, resolution, duplicate_of, seen, last_seen_at, candidate_type, candidate_id, note,
	acknowledged_at, acknowledged_by, resolved_at, resolved_by, created_at`

// RecordMatch notes a recommendation or query, and returns its id. A weak one opens a gap, or is
// counted on the gap that the same intent has opened before; a good one resolves that gap.
func (s *Store) RecordMatch(ctx context.Context, workspace uuid.UUID, run NewMatchRun) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("match run id: %w", err)
	}
	request, err := json.Marshal(run.Request)
	if err != nil {
		return id, fmt.Errorf("encode request: %w", err)
	}
	cover := knowledge.Cover(run.Matches, run.Best)
	signature := run.Intent.Signature()
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		// One at a time for each intent: a gap opens once, and is resolved after it was opened.
		_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 1))`, workspace.String()+hex.EncodeToString(signature[:]))
		if err != nil {
			return err
		}
		gap, err := openGap(ctx, tx, workspace, signature)
		if err != nil {
			return err
		}
		row := matchRow{id: id, workspace: workspace, signature: signature, request: request, run: run, cover: cover}
		switch {
		case !cover.Weak:
			row.resolution = "covered"
		case gap != uuid.Nil:
			row.resolution, row.duplicate = "duplicate", &gap
		}
		if err := row.insert(ctx, tx); err != nil {
			return err
		}
		return updateGap(ctx, tx, row, gap)
	})
	if err != nil {
		return id, fmt.Errorf("record match: %w", err)
	}
	return id, nil
}

// openGap finds the gap of an intent that is not resolved; uuid.Nil when there is none.
func openGap(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, signature [32]byte) (uuid.UUID, error) {
	var gap uuid.UUID
	err := tx.QueryRow(ctx, `
		select id from match_runs
		 where workspace_id = $1 and intent_signature = $2 and weak and coverage_status <> 'resolved' for update`,
		workspace, signature[:]).Scan(&gap)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, nil
	}
	return gap, err
}

type matchRow struct {
	id, workspace uuid.UUID
	signature     [32]byte
	request       []byte
	run           NewMatchRun
	cover         knowledge.Coverage
	resolution    string // "": it is a gap
	duplicate     *uuid.UUID
}

func (r matchRow) insert(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		insert into match_runs (id, workspace_id, kind, intent, intent_signature, request, status, confidence, candidates,
		       best_score, reason_codes, weak, priority, coverage_status, resolution, duplicate_of, resolved_at, resolved_by)
		select $1, $2, $3, $4, $5, $6::json, $7, $8, $9, $10, $11, $12, $13,
		       case when $14 = '' then 'open' else 'resolved' end, nullif($14, ''), $15,
		       case when $14 <> '' then now() end, case when $14 <> '' then $16 end`,
		r.id, r.workspace, r.run.Intent.Kind, r.run.Text, r.signature[:], r.request, string(r.run.Status), r.run.Confidence,
		r.run.Matches, r.run.Best, r.cover.Codes, r.cover.Weak, r.cover.Priority, r.resolution, r.duplicate, bySystem)
	return err
}

// updateGap does to the gap of the intent what the run means for it.
func updateGap(ctx context.Context, tx pgx.Tx, r matchRow, gap uuid.UUID) error {
	switch {
	case gap == uuid.Nil && !r.cover.Weak:
		return nil
	case gap == uuid.Nil:
		return appendGapEvent(ctx, tx, r.id, "created")
	case r.cover.Weak:
		_, err := tx.Exec(ctx, `
			update match_runs set seen = seen + 1, last_seen_at = clock_timestamp(), status = $2, confidence = $3,
			       candidates = $4, best_score = $5, reason_codes = $6, priority = $7
			 where id = $1`, gap, string(r.run.Status), r.run.Confidence, r.run.Matches, r.run.Best, r.cover.Codes, r.cover.Priority)
		if err != nil {
			return err
		}
	default:
		_, err := tx.Exec(ctx, `
			update match_runs set coverage_status = 'resolved', resolution = 'matched', resolved_at = clock_timestamp(),
			       resolved_by = $2, candidate_type = nullif($3, ''), candidate_id = nullif($4, '00000000-0000-0000-0000-000000000000'::uuid)
			 where id = $1`, gap, bySystem, string(r.run.CandidateType), r.run.CandidateID)
		if err != nil {
			return err
		}
	}
	return appendGapEvent(ctx, tx, gap, "updated")
}

// gapEvent is the payload of coverage.weak_run.* events.
type gapEvent struct {
	Kind       string    `json:"kind"`
	Intent     string    `json:"intent"`
	Status     GapStatus `json:"coverage_status"`
	Priority   float64   `json:"priority"`
	Seen       int       `json:"seen"`
	Codes      []string  `json:"reason_codes"`
	Resolution *string   `json:"resolution"`
	ResolvedBy *string   `json:"resolved_by"`
}

// appendGapEvent records the gap as it now is.
func appendGapEvent(ctx context.Context, tx pgx.Tx, id uuid.UUID, what string) error {
	gap, err := readMatchRun(ctx, tx, id, "")
	if err != nil {
		return err
	}
	return store.AppendEvent(ctx, tx, gap.WorkspaceID, "coverage", "coverage.weak_run."+what, id.String(), gapEvent{
		gap.Kind, gap.Intent, gap.CoverageStatus, gap.Priority, gap.Seen, gap.Codes, gap.Resolution, gap.ResolvedBy,
	})
}

// youngArgs are the arguments of matchRunColumns. asOf is when a gap's age counts; nil is now.
func youngArgs(asOf *time.Time) pgx.NamedArgs {
	return pgx.NamedArgs{"as_of": asOf, "young_for": knowledge.YoungFor, "young_bonus": knowledge.YoungBonus}
}

func readMatchRun(ctx context.Context, tx pgx.Tx, id uuid.UUID, lock string) (*MatchRun, error) {
	args := youngArgs(nil)
	args["id"] = id
	rows, err := tx.Query(ctx, `select `+matchRunColumns+` from match_runs where id = @id and exists (select from workspaces w where w.id = workspace_id) `+lock, args)
	if err != nil {
		return nil, err
	}
	run, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[MatchRun])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("match run %s: %w", id, store.ErrNotFound)
	}
	return run, err
}
