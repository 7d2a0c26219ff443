package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Workspace is one tenant.
type Workspace struct {
	ID        uuid.UUID
	Name      string
	TuneCap   int // tunes it may have at work at once, across the fleet
	CreatedAt time.Time
}

// CreateWorkspace makes a tenant. ErrConflict when the name is taken.
func (s *Store) CreateWorkspace(ctx context.Context, name string, tuneCap int) (Workspace, error) {
	w := Workspace{Name: name, TuneCap: tuneCap}
	err := s.inFleet(ctx, func(tx pgx.Tx) (err error) {
		if w.ID, err = uuid.NewV7(); err != nil {
			return fmt.Errorf("workspace id: %w", err)
		}
		err = tx.QueryRow(ctx, `
			insert into workspaces (id, name, tune_cap) values ($1, $2, $3) returning created_at`,
			w.ID, name, tuneCap).Scan(&w.CreatedAt)
		if pgCode(err) == uniqueViolation {
			return fmt.Errorf("workspace %q: %w", name, ErrConflict)
		}
		if err != nil {
			return fmt.Errorf("create workspace: %w", err)
		}
		return nil
	})
	return w, err
}

// Workspaces lists every tenant, by name.
func (s *Store) Workspaces(ctx context.Context) ([]Workspace, error) {
	var all []Workspace
	err := s.inFleet(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select id, name, tune_cap, created_at from workspaces order by name`)
		if err != nil {
			return fmt.Errorf("list workspaces: %w", err)
		}
		if all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Workspace]); err != nil {
			return fmt.Errorf("list workspaces: %w", err)
		}
		return nil
	})
	return all, err
}

// Workspace reads one tenant, or ErrNotFound.
func (s *Store) Workspace(ctx context.Context, id uuid.UUID) (Workspace, error) {
	var w Workspace
	err := s.inFleet(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select id, name, tune_cap, created_at from workspaces where id = $1`, id).
			Scan(&w.ID, &w.Name, &w.TuneCap, &w.CreatedAt)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("workspace %s: %w", id, ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read workspace: %w", err)
		}
		return nil
	})
	return w, err
}
