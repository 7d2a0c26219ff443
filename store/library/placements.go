package library

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/store"
)

// Placement reads where the workspace's vectors are. A workspace that has none yet is placed with
// the model given, for good.
func (s *Store) Placement(ctx context.Context, workspace uuid.UUID, first knowledge.Model) (knowledge.Placement, error) {
	var found knowledge.Placement
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		found, err = readPlacement(ctx, tx, workspace, "")
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		p := knowledge.PlacementOf(first)
		_, err = tx.Exec(ctx, `
			insert into workspace_models (workspace_id, provider, model, collection, dimensions)
			values ($1, $2, $3, $4, $5) on conflict do nothing`,
			workspace, p.Model.Provider, p.Model.Name, p.Collection.Name, p.Model.Dimensions)
		if err != nil {
			return err
		}
		found, err = readPlacement(ctx, tx, workspace, "")
		return err
	})
	if store.SQLState(err) == store.ForeignKeyViolation {
		return found, fmt.Errorf("workspace %s: %w", workspace, store.ErrNotFound)
	}
	if err != nil {
		return found, fmt.Errorf("read placement: %w", err)
	}
	return found, nil
}

// readPlacement is pgx.ErrNoRows for a workspace that was never placed.
func readPlacement(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, lock string) (knowledge.Placement, error) {
	var p knowledge.Placement
	err := tx.QueryRow(ctx, `
		select provider, model, dimensions, collection from workspace_models where workspace_id = $1 `+lock, workspace).
		Scan(&p.Model.Provider, &p.Model.Name, &p.Model.Dimensions, &p.Collection.Name)
	p.Collection.Dimensions = p.Model.Dimensions
	return p, err
}

// Holding is what a workspace has ingested, and where the vectors of it are to be.
type Holding struct {
	Workspace  uuid.UUID
	Name       string
	Placement  knowledge.Placement
	Chunks     int64
	Workspaces int64 // that have chunks, more than the limit included
}

// Holdings are the workspaces with the most chunks, at most limit of them. It reads the tallies of the
// documents, not the chunks.
func (s *Store) Holdings(ctx context.Context, limit int) ([]Holding, error) {
	var held []Holding
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select w.id, w.name, m.provider, m.model, m.dimensions, m.collection, sum(d.chunks)::bigint, count(*) over ()
			  from workspace_models m join workspaces w on w.id = m.workspace_id join documents d on d.workspace_id = w.id
			 where d.chunks > 0
			 group by w.id, m.workspace_id order by sum(d.chunks) desc, w.id limit $1`, limit)
		if err != nil {
			return fmt.Errorf("list holdings: %w", err)
		}
		held, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Holding, error) {
			var h Holding
			m := &h.Placement.Model
			err := row.Scan(&h.Workspace, &h.Name, &m.Provider, &m.Name, &m.Dimensions, &h.Placement.Collection.Name, &h.Chunks, &h.Workspaces)
			h.Placement.Collection.Dimensions = m.Dimensions
			return h, err
		})
		if err != nil {
			return fmt.Errorf("list holdings: %w", err)
		}
		return nil
	})
	return held, err
}

// Collections are those that hold what some workspace has ingested.
func (s *Store) Collections(ctx context.Context) ([]knowledge.Collection, error) {
	var used []knowledge.Collection
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select distinct m.collection, m.dimensions from workspace_models m
			 where exists (select from chunks c where c.workspace_id = m.workspace_id) order by 1`)
		if err != nil {
			return fmt.Errorf("list collections: %w", err)
		}
		if used, err = pgx.CollectRows(rows, pgx.RowToStructByPos[knowledge.Collection]); err != nil {
			return fmt.Errorf("list collections: %w", err)
		}
		return nil
	})
	return used, err
}
