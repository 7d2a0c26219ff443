package lifecycle

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Archive takes something out of the lists, or with archived false puts it back; it is read by its id all the same. Of
// a dataset all versions are archived. It is store.ErrNotFound when the workspace has nothing of that kind and id.
func (s *Store) Archive(ctx context.Context, workspace uuid.UUID, kind Kind, id uuid.UUID, archived bool) error {
	return s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		changed, err := archive(ctx, tx, workspace, kind, []uuid.UUID{id}, archived)
		if err != nil || changed > 0 {
			return err
		}
		tx.Unaudited()
		var there bool
		err = tx.QueryRow(ctx, `select exists (select from `+kind.table()+` where workspace_id = $1 and id = $2)`, workspace, id).Scan(&there)
		if err != nil {
			return fmt.Errorf("look for %s %s: %w", kind, id, err)
		}
		if !there {
			return fmt.Errorf("%s %s: %w", kind, id, store.ErrNotFound)
		}
		return nil
	})
}

// archive returns how many rows it changed.
func archive(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, kind Kind, ids []uuid.UUID, archived bool) (int, error) {
	which := `id = any($2)`
	switch kind {
	case Tune:
		which = `id = any($2) and wfo_id is null` // a fold is listed with its walk-forward only
	case Dataset:
		which = `coalesce(series, name) in (select coalesce(series, name) from datasets where workspace_id = $1 and id = any($2))`
	case Strategy:
		which = `id = any($2) and erased_at is null`
	}
	tag, err := tx.Exec(ctx, `
		update `+kind.table()+` set archived_at = case when $3 then clock_timestamp() end
		 where workspace_id = $1 and `+which+` and (archived_at is null) = $3`, workspace, ids, archived)
	if err != nil {
		return 0, fmt.Errorf("archive %s: %w", kind, err)
	}
	return int(tag.RowsAffected()), nil
}
