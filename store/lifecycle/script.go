package lifecycle

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/schedules"
	"millrace/store/strategies"
)

// PreviewScript finds what goes with a version of a script: the schedules that cannot run without it. It is
// store.ErrNotFound when the workspace does not have it.
func (s *Store) PreviewScript(ctx context.Context, workspace, id uuid.UUID) (*Plan, error) {
	var p *Plan
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		var there bool
		err = tx.QueryRow(ctx, `select exists (select from strategies where workspace_id = $1 and id = $2 and erased_at is null)`, workspace, id).Scan(&there)
		if err != nil {
			return fmt.Errorf("find script: %w", err)
		}
		if !there {
			return missing(Request{Kind: Strategy, IDs: []uuid.UUID{id}})
		}
		p, err = scriptPlan(ctx, tx, workspace, id)
		return err
	})
	return p, err
}

func scriptPlan(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Plan, error) {
	using, err := store.ReadAll(ctx, tx, "schedules of a script", pgx.RowToStructByPos[Ref], schedules.Using, workspace, id, strategies.Prefix)
	if err != nil {
		return nil, err
	}
	p := &Plan{Deletes: map[Kind]int{Strategy: 1}, Dependants: using}
	if len(using) > 0 {
		p.Deletes[Schedule] = len(using)
	}
	return p, nil
}

// EraseScript takes a version of a script out of all lists; what was run with it keeps its text. Schedules that cannot run
// without it are in the way, and a *RefusedError names them; with cascade they are deleted, and what they have
// submitted continues.
func (s *Store) EraseScript(ctx context.Context, workspace, id uuid.UUID, cascade bool) error {
	return s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if err := strategies.Hold(ctx, tx, workspace, id); err != nil {
			return err
		}
		p, err := scriptPlan(ctx, tx, workspace, id)
		if err != nil {
			return err
		}
		if len(p.Dependants) > 0 {
			if !cascade {
				return &RefusedError{Plan: p}
			}
			ids := make([]uuid.UUID, len(p.Dependants))
			for i, ref := range p.Dependants {
				ids[i] = ref.ID
			}
			if err := s.schedules.Remove(ctx, tx, workspace, ids); err != nil {
				return err
			}
		}
		return strategies.Erase(ctx, tx, workspace, id)
	})
}
