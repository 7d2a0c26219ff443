package recommend

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// GapFilter narrows a list of gaps; zero fields do not.
type GapFilter struct {
	Workspace uuid.UUID
	Status    GapStatus
	Kind      string
}

// GapKey is a place in a list of gaps, which are ordered by priority; the zero key is its beginning.
// AsOf is when the list was begun: a priority falls as its gap grows old, and a list must not
// reorder while it is read.
type GapKey struct {
	AsOf     time.Time
	Priority float64
	ID       uuid.UUID
}

// Gaps lists gaps of the whole fleet, the most pressing first, from after key.
func (s *Store) Gaps(ctx context.Context, filter GapFilter, after GapKey, limit int) ([]*MatchRun, error) {
	if after.AsOf.IsZero() {
		after.AsOf = s.db.Clock().Now()
	}
	args := youngArgs(&after.AsOf)
	maps.Copy(args, pgx.NamedArgs{
		"workspace": filter.Workspace, "status": string(filter.Status), "kind": filter.Kind,
		"after_id": after.ID, "after_priority": after.Priority, "limit": limit,
	})
	var gaps []*MatchRun
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select * from (
			    select `+matchRunColumns+`
			      from match_runs
			     where exists (select from workspaces w where w.id = workspace_id) -- and is not being deleted
			       and weak and duplicate_of is null and resolution is distinct from 'duplicate'
			       and (@workspace = '00000000-0000-0000-0000-000000000000'::uuid or workspace_id = @workspace)
			       and (@status = '' or coverage_status = @status) and (@kind = '' or kind = @kind)
			       and created_at <= @as_of::timestamptz) g
			 where @after_id = '00000000-0000-0000-0000-000000000000'::uuid or (-priority, id) > (-@after_priority::float8, @after_id)
			 order by -priority, id
			 limit @limit`,
			args)
		if err != nil {
			return fmt.Errorf("list gaps: %w", err)
		}
		if gaps, err = pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[MatchRun]); err != nil {
			return fmt.Errorf("list gaps: %w", err)
		}
		return nil
	})
	return gaps, err
}

// MatchRun reads a recommendation or query of any workspace, or ErrNotFound.
func (s *Store) MatchRun(ctx context.Context, id uuid.UUID) (*MatchRun, error) {
	var run *MatchRun
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		run, err = readMatchRun(ctx, tx, id, "")
		return err
	})
	return run, err
}

// AcknowledgeGap notes that somebody looks after a gap. Again it changes nothing; a gap that is
// resolved is ErrEnded.
func (s *Store) AcknowledgeGap(ctx context.Context, id uuid.UUID, by string) (*MatchRun, error) {
	return s.triage(ctx, id, func(tx *store.Tx, gap *MatchRun) error {
		if gap.CoverageStatus == GapAcknowledged {
			return nil
		}
		_, err := tx.Exec(ctx, `
			update match_runs set coverage_status = 'acknowledged', acknowledged_at = clock_timestamp(), acknowledged_by = $2
			 where id = $1`, id, by)
		if err != nil {
			return fmt.Errorf("acknowledge gap %s: %w", id, err)
		}
		store.AuditChange(ctx, map[string]any{"status": gap.CoverageStatus}, map[string]any{"status": GapAcknowledged})
		return appendGapEvent(ctx, tx, id, "updated")
	})
}

// GapAnswer is what resolves a gap: a candidate, a note or both.
type GapAnswer struct {
	CandidateType CandidateType
	CandidateID   uuid.UUID
	Note          string
}

// ResolveGap resolves a gap. A gap that is resolved is ErrEnded; a candidate that is not of the
// gap's workspace is ErrNoCandidate.
func (s *Store) ResolveGap(ctx context.Context, id uuid.UUID, by string, answer GapAnswer) (*MatchRun, error) {
	return s.triage(ctx, id, func(tx *store.Tx, gap *MatchRun) error {
		resolution := "note"
		if answer.CandidateType != "" {
			resolution = "candidate"
			var there bool
			table := map[CandidateType]string{CandidateTune: "tunes", CandidateDocument: "documents"}[answer.CandidateType]
			err := tx.QueryRow(ctx, `select exists (select from `+table+` where workspace_id = $1 and id = $2)`,
				gap.WorkspaceID, answer.CandidateID).Scan(&there)
			if err != nil {
				return fmt.Errorf("look for the candidate: %w", err)
			}
			if !there {
				return fmt.Errorf("%s %s: %w", answer.CandidateType, answer.CandidateID, store.ErrNoCandidate)
			}
		}
		_, err := tx.Exec(ctx, `
			update match_runs set coverage_status = 'resolved', resolution = $2, resolved_at = clock_timestamp(), resolved_by = $3,
			       candidate_type = nullif($4, ''), candidate_id = nullif($5, '00000000-0000-0000-0000-000000000000'::uuid),
			       note = nullif($6, ''), acknowledged_at = coalesce(acknowledged_at, clock_timestamp()),
			       acknowledged_by = coalesce(acknowledged_by, $3)
			 where id = $1`, id, resolution, by, string(answer.CandidateType), answer.CandidateID, answer.Note)
		store.AuditChange(ctx, map[string]any{"status": gap.CoverageStatus}, map[string]any{"status": GapResolved, "resolution": resolution})
		if err != nil {
			return fmt.Errorf("resolve gap %s: %w", id, err)
		}
		return appendGapEvent(ctx, tx, id, "updated")
	})
}

// triage runs fn on a gap under its lock, and returns the gap as it then is.
func (s *Store) triage(ctx context.Context, id uuid.UUID, fn func(*store.Tx, *MatchRun) error) (*MatchRun, error) {
	var gap *MatchRun
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		if gap, err = readMatchRun(ctx, tx, id, "for update"); err != nil {
			return err
		}
		switch {
		case !gap.Weak || gap.DuplicateOf != nil:
			return fmt.Errorf("match run %s is not a gap: %w", id, store.ErrNotFound)
		case gap.CoverageStatus == GapResolved:
			return fmt.Errorf("gap %s: %w", id, &store.EndedError{What: "gap", State: "resolved"})
		}
		if err := fn(tx, gap); err != nil {
			return err
		}
		gap, err = readMatchRun(ctx, tx, id, "")
		return err
	})
	return gap, err
}
