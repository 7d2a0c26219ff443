package tuning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// PutExplanation keeps the last explanation of a tune. A tune that is gone is ErrNotFound.
func (s *Store) PutExplanation(ctx context.Context, workspace, tune uuid.UUID, body json.RawMessage) error {
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into tune_explanations (tune_id, workspace_id, body) values ($1, $2, $3)
			on conflict (tune_id) do update set body = excluded.body, created_at = now()`, tune, workspace, body)
		return err
	})
	if store.SQLState(err) == store.ForeignKeyViolation {
		return fmt.Errorf("tune %s: %w", tune, store.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("keep explanation of tune %s: %w", tune, err)
	}
	return nil
}

// Explanation reads the last explanation of a tune, or ErrNotFound.
func (s *Store) Explanation(ctx context.Context, workspace, tune uuid.UUID) (json.RawMessage, error) {
	var body json.RawMessage
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `
			select body from tune_explanations where workspace_id = $1 and tune_id = $2`, workspace, tune).Scan(&body)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("explanation of tune %s: %w", tune, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read explanation of tune %s: %w", tune, err)
	}
	return body, nil
}
